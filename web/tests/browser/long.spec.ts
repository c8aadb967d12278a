// A session of 10,000 events: opened at its end, read back to its beginning, and alive all the while.
import { expect, test } from './fixtures';

const EVENTS = 10_000;
/** From the click to the newest event on the screen (ui.md). Measured: docs/performance-page.md. */
const OPENS_MS = 2_000;
/** Rows in the page at once, whatever the session holds (src/session/window.ts). */
const DRAWN_ROWS_MAX = 240;

test('opens with the newest 200, pages back to the first, and answers at once', async ({ arrive, gateway }) => {
  test.setTimeout(120_000);
  const session = await gateway.session('Ten thousand');
  await gateway.turn(session, `[[events:${EVENTS}]]`, 'ben');
  const ana = await arrive('ana');
  await ana.openList();
  const asked: string[] = [];
  ana.page.on('request', (request) => asked.push(request.url()));
  const before_ms = Date.now();
  await ana.sessions.getByText('Ten thousand', { exact: true }).click();
  await expect(ana.turnEnd(1)).toBeInViewport();
  expect(Date.now() - before_ms).toBeLessThan(OPENS_MS);
  await expect(ana.transcript.getByText(`#${EVENTS}`, { exact: true })).toBeInViewport();
  // What is needed to show the end, and no more.
  expect(asked.filter((url) => url.includes('/events')).length).toBeLessThanOrEqual(1);

  await ana.transcript.focus();
  const pagedBack = await ana.page.evaluate(async (rowsMax) => {
    const scroller = document.querySelector<HTMLElement>('[role="log"]')!;
    const first = () => Number(scroller.querySelector<HTMLElement>('[data-seq]')?.dataset['seq']);
    const seen = new Set<number>();
    let rowsWorst = 0;
    while (first() > 1) {
      scroller.scrollTop = 0;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const rows = scroller.querySelectorAll<HTMLElement>('[data-seq]');
      rowsWorst = Math.max(rowsWorst, rows.length);
      for (const row of rows) seen.add(Number(row.dataset['seq']));
    }
    return { seen: seen.size, rowsWorst, tooMany: rowsWorst > rowsMax };
  }, DRAWN_ROWS_MAX);
  expect(pagedBack.tooMany).toBe(false);
  // The prompt, the texts, the result that says something else or not, the end; the conversation's id shows nothing.
  expect(pagedBack.seen).toBeGreaterThanOrEqual(EVENTS);
  await ana.transcript.evaluate((scroller) => (scroller.scrollTop = 0));
  await expect(ana.transcript.locator('.row.prompt')).toBeInViewport();
  await expect(ana.transcript.getByText('#1', { exact: true })).toBeInViewport();

  // With all of it loaded: typing, finding and live events still work.
  await ana.composer.fill('[[text:still here]]');
  await (await ana.menu('Find in this session')).click();
  const find = ana.page.getByRole('searchbox', { name: 'Find in this session' });
  await find.fill('#5000');
  await find.press('Enter');
  await expect(ana.transcript.getByText('#5000', { exact: true })).toBeInViewport();
  await find.press('Escape');
  await ana.page.getByRole('button', { name: /To the end/ }).click();
  await expect(ana.turnEnd(1)).toBeInViewport();
  await ana.page.getByRole('button', { name: 'Send', exact: true }).click();
  await expect(ana.transcript).toContainText('still here');
  await expect(ana.turnEnd(2)).toBeInViewport();
});

test('a link leads to an old event', async ({ arrive, gateway }) => {
  const session = await gateway.session('Linked');
  await gateway.turn(session, '[[events:3000]]', 'ben');
  const aud = await arrive('aud');
  await aud.goTo(session, 150);
  await expect(aud.transcript.locator('[data-seq="150"]')).toBeInViewport();
  await aud.goTo(session, 2900);
  await expect(aud.transcript.locator('[data-seq="2900"]')).toBeInViewport();
});
