import { defineConfig } from '@playwright/test';

// Debian's Chromium; Playwright's own browsers are not downloaded.
const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

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
    viewport: DESKTOP,
    trace: 'off',
  },
  projects: [
    { name: 'desktop', testDir: 'tests/browser' },
    { name: 'phone', testDir: 'tests/browser', use: PHONE },
    { name: 'faults', testDir: 'tests/faults' },
    { name: 'screens', testDir: 'tests/screens' },
    { name: 'measure', testDir: 'tests/measure' },
  ],
});
