// Fails when the built page is heavier than what a phone on a bad network should have to load.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const LIMIT_BYTES = 100 * 1024;
const DIST = fileURLToPath(new URL('../dist', import.meta.url));

let total = 0;
for (const entry of await readdir(DIST, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || /\.(br|gz)$/.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const bytes = gzipSync(await readFile(path), { level: 9 }).length;
  total += bytes;
  console.log(`${String(bytes).padStart(7)}  ${path.slice(DIST.length + 1)}`);
}
console.log(`${String(total).padStart(7)}  of ${LIMIT_BYTES} bytes, gzipped`);
if (total > LIMIT_BYTES) {
  console.error(`the page is ${total - LIMIT_BYTES} bytes too heavy`);
  process.exit(1);
}
