import { defineConfig } from '@playwright/test';

// Debian's Chromium; Playwright's own browsers are not downloaded.
const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

export default defineConfig({
  outputDir: 'test-results',
  timeout: 60_000,
  expect: { timeout: 10_000 },
  workers: 1,
  fullyParallel: false,
  forbidOnly: process.env['CI'] !== undefined,
  reporter: [['list']],
  use: {
    browserName: 'chromium',
    launchOptions: {
      executablePath: EXECUTABLE,
      args: [
        '--no-sandbox',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--no-first-run',
      ],
    },
    viewport: { width: 1280, height: 800 },
    trace: 'off',
  },
  projects: [
    { name: 'browser', testDir: 'tests/browser' },
    { name: 'faults', testDir: 'tests/faults' },
  ],
});
