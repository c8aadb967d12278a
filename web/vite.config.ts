import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { lateStyle } from './build/late-style.ts';
import { madeOf } from './build/made-of.ts';
import { precompress } from './build/precompress.ts';
import { fakeGateway } from './tests/fake/plugin.ts';

export default defineConfig({
  plugins: [svelte(), lateStyle(), madeOf(), precompress(), fakeGateway()],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  // Vitest: the browser build of Svelte, not the server's.
  resolve: process.env['VITEST'] ? { conditions: ['browser'] } : {},
  test: {
    include: ['tests/unit/**/*.test.ts'],
    environment: 'node',
    testTimeout: 20_000,
  },
});
