import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
// @ts-expect-error a plain script without types
import { generate, OUTPUT } from '../../scripts/types.mjs';

it('the generated types match docs/protocol.schema.json (else: npm run types)', async () => {
  expect(await readFile(OUTPUT as string, 'utf8')).toBe(await (generate as () => Promise<string>)());
});
