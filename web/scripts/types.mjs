// Makes src/generated/protocol.ts from docs/protocol.schema.json, which the gateway's Rust types make
// (`breakglass schema`). `npm run types` writes it; tests/unit/types.test.ts fails when it has drifted.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { compile } from 'json-schema-to-typescript';

const SCHEMA = fileURLToPath(new URL('../../docs/protocol.schema.json', import.meta.url));
export const OUTPUT = fileURLToPath(new URL('../src/generated/protocol.ts', import.meta.url));

const BANNER = '// Generated from docs/protocol.schema.json by `npm run types`. Do not edit.\n';

// In JSON Schema 2020-12 a `$ref` may stand beside other keywords and means "and also". The generator knows only the
// older rule (a `$ref` stands alone), so such pairs are spelled out as `allOf`. A schema without any constraint is
// any JSON value: `unknown`.
function spellOut(node) {
  if (Array.isArray(node)) return node.map(spellOut);
  if (node === null || typeof node !== 'object') return node;
  const out = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, spellOut(value)]));
  if (Object.keys(out).join() === 'description') return { ...out, tsType: 'unknown' };
  if (!('$ref' in out)) return out;
  const { $ref, ...rest } = out;
  if ('properties' in rest) return { allOf: [{ $ref }, rest] };
  return { $ref };
}

export async function generate() {
  const schema = spellOut(JSON.parse(await readFile(SCHEMA, 'utf8')));
  const text = await compile(schema, 'Wire', {
    bannerComment: BANNER,
    additionalProperties: false,
    unknownAny: true,
    declareExternallyReferenced: true,
    unreachableDefinitions: true,
    style: { singleQuote: true, printWidth: 120 },
  });
  return text
    .replaceAll(/\/\*\*\n \* This interface was referenced by [^\n]*\n [^\n]*\n \*\/\n/g, '')
    .replaceAll(/ \*\n \* This interface was referenced by [^\n]*\n [^\n]*\n/g, '');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(OUTPUT, await generate());
}
