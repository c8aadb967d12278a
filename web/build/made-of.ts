// The page may be made only of packages that package-lock.json counts as production's: those are what `npm audit --omit=dev`
// and the list in tests/doors/floors.toml look at. A package of the tools that slips into the page fails the build.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plugin } from 'vite';

const FOLDER = 'node_modules/';

export function madeOf(): Plugin {
  let root = '';
  return {
    name: 'made-of',
    apply: 'build',
    configResolved(config) {
      root = config.root;
    },
    async generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((part) => (part.type === 'chunk' ? Object.keys(part.modules) : []));
      const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lock;
      for (const folder of new Set(modules.flatMap(folderOf))) {
        const found = packages[folder];
        if (found === undefined || found.dev === true) {
          this.error(`\`${folder}\` is in the page: it belongs to "dependencies" in package.json`);
        }
      }
    },
  };
}

interface Lock {
  packages: Record<string, { dev?: boolean }>;
}

/** The key in package-lock.json of the package that a module is from; none for our own modules and the bundler's. */
function folderOf(module: string): string[] {
  const last = module.lastIndexOf(FOLDER);
  if (last < 0) return [];
  const [first = '', second = ''] = module.slice(last + FOLDER.length).split('/');
  const name = first.startsWith('@') ? `${first}/${second}` : first;
  return [module.slice(module.indexOf(FOLDER), last + FOLDER.length) + name];
}
