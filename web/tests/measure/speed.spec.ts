// Measures what ui.md promises about speed, in the real gateway and a throttled browser, and prints the figures that stand
// in docs/performance-page.md. It judges nothing: machines differ.
//   BREAKGLASS_BIN=../target/release/breakglass npm run measure      (or tests/run --measure)
import { test, type Browser, type CDPSession, type Page } from '@playwright/test';
import { Gateway } from '../browser/gateway';
import { Person } from '../browser/person';

const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const LOADS = 5;
const MINUTE_EVENTS = 12_000;
const RATE = 200;
const MBPS = 1_000_000 / 8;

/** CPU four times slower; the network of a phone at the edge of its cell. `latency`: added to each request. */
interface Profile {
  name: string;
  cpu: number;
  network: { latency: number; download: number; upload: number } | null;
}
const DESKTOP: Profile = { name: 'desktop', cpu: 1, network: null };
const SLOW_PHONE: Profile = { name: 'slow phone (CPU 4x slower, 150 ms, 1.6 Mbit/s)', cpu: 4, network: { latency: 150, download: 1.6, upload: 0.75 } };
const WORST_PHONE: Profile = { name: 'DevTools “Slow 4G” (CPU 4x slower, 562 ms, 1.44 Mbit/s)', cpu: 4, network: { latency: 562.5, download: 1.44, upload: 0.675 } };

const gateway = new Gateway();
test.beforeAll(() => gateway.start());
test.afterAll(() => gateway.close());

const say = (line: string) => console.log(`  ${line}`);
const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

async function throttle(page: Page, profile: Profile): Promise<CDPSession> {
  const session = await page.context().newCDPSession(page);
  await session.send('Emulation.setCPUThrottlingRate', { rate: profile.cpu });
  if (profile.network !== null) {
    const { latency, download, upload } = profile.network;
    await session.send('Network.enable');
    await session.send('Network.emulateNetworkConditions', { offline: false, latency, downloadThroughput: download * MBPS, uploadThroughput: upload * MBPS });
  }
  return session;
}

const options = (profile: Profile) => (profile === DESKTOP ? {} : PHONE);

async function arrive(browser: Browser, profile: Profile): Promise<Person> {
  const person = await Person.arrive(browser, gateway.invite('ana', 'operator'), options(profile));
  await person.isLive();
  return person;
}

for (const profile of [DESKTOP, SLOW_PHONE, WORST_PHONE]) {
  test(`first paint: ${profile.name}`, async ({ browser }) => {
    test.setTimeout(120_000);
    const session = await gateway.session(`Paint ${profile.name}`);
    await gateway.turn(session, 'disk [[speed:max]]');
    const painted: number[] = [];
    const shown: number[] = [];
    for (let load = 0; load < LOADS; load++) {
      // A browser that has never been here, but whose person is signed in.
      const ana = await arrive(browser, profile);
      const fresh = await browser.newContext({ ...options(profile), storageState: await ana.context.storageState() });
      await ana.context.close();
      const page = await fresh.newPage();
      await throttle(page, profile);
      await page.goto(`${gateway.url}/#/${session}`);
      await page.getByRole('log').locator('footer').waitFor({ state: 'attached' });
      shown.push(await page.evaluate(() => performance.now()));
      painted.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN));
      await fresh.close();
    }
    say(`${profile.name}: first contentful paint ${median(painted).toFixed(0)} ms, transcript shown ${median(shown).toFixed(0)} ms (medians of ${LOADS} cold loads)`);
  });
}

interface Watched {
  tasks: number[];
  frameGap_ms: number;
  frames: number;
  inputs: number[];
}

/** From now on the page notes its long tasks, its frames, and how long keys take to show. */
async function watch(page: Page): Promise<void> {
  await page.evaluate(() => {
    const watched = { tasks: [] as number[], frameGap_ms: 0, frames: 0, inputs: [] as number[] };
    Object.assign(window, { watched });
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => watched.tasks.push(entry.duration))).observe({ type: 'longtask' });
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => watched.inputs.push(entry.duration))).observe({ type: 'event', durationThreshold: 16 } as PerformanceObserverInit);
    let last = performance.now();
    const frame = (now: number) => {
      watched.frameGap_ms = Math.max(watched.frameGap_ms, now - last);
      watched.frames += 1;
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
}

async function report(page: Page, what: string): Promise<void> {
  const { tasks, frameGap_ms, frames, inputs } = await page.evaluate(() => (window as unknown as { watched: Watched }).watched);
  const over = (ms: number) => tasks.filter((task) => task > ms).length;
  say(`${what}: ${over(50)} tasks over 50 ms, ${over(100)} over 100 ms, longest ${Math.max(0, ...tasks).toFixed(0)} ms; ${frames} frames, longest gap ${frameGap_ms.toFixed(0)} ms; slowest input to its paint ${Math.max(0, ...inputs).toFixed(0)} ms`);
}

for (const profile of [DESKTOP, SLOW_PHONE]) {
  test(`${RATE} events a second for a minute: ${profile.name}`, async ({ browser }) => {
    test.setTimeout(180_000);
    const session = await gateway.session(`Flood ${profile.name}`);
    const ana = await arrive(browser, profile);
    await ana.goTo(session);
    await throttle(ana.page, profile);
    await gateway.prompt(session, `[[events:${MINUTE_EVENTS} rate:${RATE} size:200]]`);
    await ana.transcript.locator('.row.prose').first().waitFor();
    await watch(ana.page);
    // Somebody types all the while.
    await ana.composer.focus();
    for (let key = 0; key < 50; key++) {
      await ana.page.keyboard.type('x');
      await ana.page.waitForTimeout(1_000);
    }
    await ana.turnEnd(1).waitFor({ timeout: 60_000 });
    await report(ana.page, profile.name);
    await ana.context.close();
  });

  test(`10,000 events: ${profile.name}`, async ({ browser }) => {
    test.setTimeout(180_000);
    const session = await gateway.session(`Long ${profile.name}`);
    await gateway.turn(session, '[[events:10000 size:200]]');
    const ana = await arrive(browser, profile);
    await throttle(ana.page, profile);
    await watch(ana.page);
    const before_ms = Date.now();
    await ana.page.evaluate((hash) => (location.hash = hash), `#/${session}`);
    await ana.turnEnd(1).waitFor();
    say(`${profile.name}: newest 200 of 10,000 shown after ${Date.now() - before_ms} ms`);
    const paging_ms = await ana.page.evaluate(async () => {
      const scroller = document.querySelector<HTMLElement>('[role="log"]')!;
      const first = () => Number(scroller.querySelector<HTMLElement>('[data-seq]')?.dataset['seq']);
      const started = performance.now();
      while (first() > 1) {
        scroller.scrollTop = 0;
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
      return performance.now() - started;
    });
    await report(ana.page, `${profile.name}, all of it scrolled through in ${(paging_ms / 1_000).toFixed(1)} s`);
    await ana.context.close();
  });
}
