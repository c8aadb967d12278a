// Takes the pictures that stand in README and docs: the real gateway, the drill agent, both themes.
//   BREAKGLASS_BIN=../target/debug/breakglass npm run screens      (or tests/run --screens)
import { mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test, type Browser, type Page } from '@playwright/test';
import { Gateway } from '../browser/gateway';
import { Person } from '../browser/person';

const PICTURES = fileURLToPath(new URL('../../../docs/pictures', import.meta.url));
/** People read the README on phones, too. */
const PICTURE_BYTES_MAX = 150 * 1024;
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 1.5 };
const HALF = { viewport: { width: 620, height: 720 } };

type Scheme = 'light' | 'dark';

/** Freezes what moves, so that a picture is of one moment. */
async function settle(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await document.fonts.ready;
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  });
}

async function take(page: Page, name: string): Promise<void> {
  await settle(page);
  mkdirSync(PICTURES, { recursive: true });
  const path = `${PICTURES}/${name}.png`;
  await page.screenshot({ path, animations: 'disabled', caret: 'hide' });
  expect(statSync(path).size).toBeLessThanOrEqual(PICTURE_BYTES_MAX);
}

async function arrive(browser: Browser, gateway: Gateway, name: string, role: 'operator' | 'auditor', options: object): Promise<Person> {
  const person = await Person.arrive(browser, gateway.invite(name, role), options);
  await person.isLive();
  return person;
}

/** What a night leaves behind in the list, and a first turn in `session`. */
async function history(gateway: Gateway, session: string): Promise<void> {
  const past = [
    ['Certificate of api.example.org', 'The network of api-1 is odd: names do not resolve.', 'ben'],
    ['Mail queue on mx-2', '[[stderr:cannot reach the API: connection refused]] [[exit:1]]', 'ben'],
    ['web-1 is slow', 'Why is web-1 slow? Load is 8.', 'ana'],
  ] as const;
  const turns = past.map(async ([title, prompt, by]) => gateway.turn(await gateway.session(title, by), prompt, by));
  await Promise.all([...turns, gateway.turn(session, 'Memory of db-1 looks tight. What uses it?', 'ben')]);
}

for (const scheme of ['light', 'dark'] as const satisfies Scheme[]) {
  test(`pictures (${scheme})`, async ({ browser }) => {
    test.setTimeout(180_000);
    const gateway = new Gateway();
    await gateway.start();
    const look = { colorScheme: scheme, reducedMotion: 'reduce' as const };
    const session = await gateway.session('db-1: disk full, postgres down', 'ana');
    await history(gateway, session);

    // A turn, watched by its author, by a colleague and by a phone.
    const ana = await arrive(browser, gateway, 'ana', 'operator', look);
    const anaHalf = await arrive(browser, gateway, 'ana', 'operator', { ...look, ...HALF });
    const ben = await arrive(browser, gateway, 'ben', 'operator', { ...look, ...HALF });
    const phone = await arrive(browser, gateway, 'ben', 'operator', { ...look, ...PHONE });
    for (const person of [ana, anaHalf, ben, phone]) await person.goTo(session);
    await ana.ask('The disk of db-1 is full and postgres is down. Bring it back without losing data.');
    await ben.composer.fill('When it is back: which service wrote all that, and since when?');
    // The search for the largest folders: a tool that runs for a while.
    await expect(ana.transcript.locator('article.running')).toContainText('du -xh', { timeout: 30_000 });
    await Promise.all([take(ana.page, `running-${scheme}`), take(phone.page, `phone-${scheme}`), pair(browser, anaHalf.page, ben.page, scheme)]);
    await expect(ana.stop).toBeHidden({ timeout: 60_000 });

    const mia = await arrive(browser, gateway, 'mia', 'auditor', look);
    await mia.goTo(session);
    await (await mia.menu('Outline of turns')).click();
    await expect(mia.turnEnd(2)).toBeInViewport();
    await take(mia.page, `auditor-${scheme}`);
    for (const person of [ana, anaHalf, ben, phone, mia]) await person.context.close();
    await gateway.close();
  });
}

/** Two pages side by side in one picture. */
async function pair(browser: Browser, left: Page, right: Page, scheme: Scheme): Promise<void> {
  await Promise.all([settle(left), settle(right)]);
  const shots = await Promise.all([left, right].map((page) => page.screenshot({ animations: 'disabled', caret: 'hide' })));
  const { width, height } = HALF.viewport;
  const gap_px = 12;
  const context = await browser.newContext({ viewport: { width: 2 * width + gap_px, height } });
  const page = await context.newPage();
  const images = shots.map((shot) => `<img src="data:image/png;base64,${shot.toString('base64')}" width="${width}" height="${height}">`);
  await page.setContent(`<body style="margin:0;display:flex;gap:${gap_px}px;background:#8a93a3">${images.join('')}</body>`);
  await take(page, `two-operators-${scheme}`);
  await context.close();
}
