import { violations } from '../browser/axe';
import { expect, test } from './fixtures';

test('viewers and auditors read, operators write', async ({ gateway, arrive }) => {
  const session = gateway.session('Roles');
  const aud = await arrive('aud', `#/${session.session}`);
  await expect(aud.page.getByText('Read only: you are signed in as auditor')).toBeVisible();
  await expect(aud.composer).toHaveCount(0);
  await expect(aud.page.getByRole('button', { name: 'New session' })).toHaveCount(0);
  await aud.page.getByRole('button', { name: 'Menu' }).click();
  await expect(aud.page.getByRole('link', { name: 'Export (JSONL)' })).toHaveAttribute('href', `/api/sessions/${session.session}/export?format=jsonl`);
  await expect(aud.page.getByRole('button', { name: 'Archive' })).toHaveCount(0);
  const vic = await arrive('vic', `#/${session.session}`);
  await vic.page.getByRole('button', { name: 'Menu' }).click();
  await expect(vic.page.getByRole('button', { name: 'Outline of turns' })).toBeVisible();
  await expect(vic.page.getByRole('link', { name: /Export/ })).toHaveCount(0);
});

test('people see each other, and each other’s prompts', async ({ gateway, arrive }) => {
  const session = gateway.session('Together');
  const ana = await arrive('ana', `#/${session.session}`);
  const ben = await arrive('ben', `#/${session.session}`);
  await arrive('aud', `#/${session.session}`);
  await expect(ana.page.getByText('ben, aud (auditor)')).toBeVisible();
  await ana.ask('what is it?');
  await expect(ben.transcript.locator('.row.prompt')).toContainText('ana');
  await expect(ben.turnEnd(1)).toContainText('Finished');
  await ben.context.close();
  await expect(ana.page.getByText('aud (auditor)', { exact: true })).toBeVisible();
});

test('the list follows: unread, running, failed, title, archive', async ({ gateway, arrive }) => {
  const here = gateway.session('Here');
  const there = gateway.session('There');
  const ana = await arrive('ana', `#/${here.session}`);
  const list = ana.page.getByRole('complementary', { name: 'Sessions' });
  there.prompt('[[fail]] [[pace:700]]', 'ben', 'k');
  const item = list.getByRole('button').filter({ hasText: 'There' });
  await expect(item.getByRole('img', { name: 'running' })).toBeVisible();
  await expect(item.getByRole('img', { name: 'unread' })).toBeVisible();
  await expect(item.getByRole('img', { name: 'failed' })).toBeVisible();
  await item.click();
  await expect(ana.transcript).toContainText('ECONNREFUSED');
  await expect(item.getByRole('img', { name: 'unread' })).toHaveCount(0);
  await ana.page.getByTitle('Change the title').click();
  await ana.page.getByRole('textbox', { name: 'Title' }).fill('Renamed');
  await ana.page.keyboard.press('Enter');
  await expect(list.getByText('Renamed')).toBeVisible();
  expect(there.title).toBe('Renamed');
  await ana.page.getByRole('button', { name: 'Menu' }).click();
  await ana.page.getByRole('button', { name: 'Archive', exact: true }).click();
  await ana.openSession('Here');
  await expect(list.getByText('Renamed')).toHaveCount(0);
  await list.getByRole('button', { name: 'Show 1 archived session' }).click();
  await expect(list.getByText('Renamed')).toBeVisible();
});

test('the title of the tab says how it goes', async ({ gateway, arrive }) => {
  const session = gateway.session('Titled');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.ask('[[events:10]] [[pace:150]]');
  await expect(ana.page).toHaveTitle('● running · Titled · breakglass');
  await expect(ana.page).toHaveTitle('✓ done · Titled · breakglass');
  await ana.ask('[[fail]]');
  await expect(ana.page).toHaveTitle('✕ failed · Titled · breakglass');
});

test('the outline leads to a turn', async ({ gateway, arrive }) => {
  const session = gateway.session('Outlined');
  for (let turn = 1; turn <= 8; turn++) {
    session.add(`t${turn}`, { kind: 'user', text: `Prompt ${turn}`, by: 'ben', model: 'm' });
    for (let n = 1; n <= 15; n++) session.add(`t${turn}`, { kind: 'text', text: `Text ${n}` });
    session.add(`t${turn}`, { kind: 'turn_end', outcome: 'ok', exit_code: 0, duration_ms: 1_000 });
  }
  const aud = await arrive('aud', `#/${session.session}`);
  await aud.page.getByRole('button', { name: 'Menu' }).click();
  await aud.page.getByRole('button', { name: 'Outline of turns' }).click();
  await aud.page.getByRole('navigation', { name: 'Outline of turns' }).getByText('Prompt 3').click();
  await expect(aud.transcript.getByText('Prompt 3')).toBeInViewport();
});

// The engine that judges is handed over as text, so it does not pass the page's CSP: it is evaluated by the browser's
// own debugger.
for (const colorScheme of ['light', 'dark'] as const) {
  test(`nothing stands in the way of anybody (${colorScheme})`, async ({ gateway, arrive }) => {
    const session = gateway.session('Accessible');
    session.prompt('[[tools]] [[retry]] [[pace:1]]', 'ben', 'k1');
    await expect.poll(() => session.turn).toBeNull();
    session.prompt('[[fail]] [[pace:1]]', 'ben', 'k2');
    await expect.poll(() => session.turn).toBeNull();
    const ana = await arrive('ana');
    await ana.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    expect(await violations(ana.page)).toEqual([]);
    await ana.openSession('Accessible');
    await expect(ana.turnEnd(2)).toBeInViewport();
    expect(await violations(ana.page)).toEqual([]);
    session.prompt('[[events:2000]] [[pace:200]]', 'ben', 'k3');
    await ana.composer.fill('next');
    await expect(ana.page.getByText(/Busy/)).toBeVisible();
    await ana.page.getByRole('button', { name: 'Menu' }).click();
    expect(await violations(ana.page)).toEqual([]);
    await ana.page.keyboard.press('Escape');
    await ana.page.getByRole('button', { name: 'New session' }).click();
    expect(await violations(ana.page)).toEqual([]);
    await ana.page.keyboard.press('Escape');
    gateway.revoke('ana');
    await expect(ana.page.getByText('You are signed out:')).toBeVisible();
    expect(await violations(ana.page)).toEqual([]);
  });
}

test.describe('on a phone', () => {
  test('everything fits, and is big enough for a thumb', async ({ gateway, served, browser }) => {
    const session = gateway.session('On the road');
    session.prompt('[[tools]] [[pace:1]]', 'ben', 'k1');
    await expect.poll(() => session.turn).toBeNull();
    const context = await browser.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    const page = await context.newPage();
    await page.goto(`${served.url}/#token=ana-token`);
    await page.getByRole('button', { name: 'Show sessions' }).click();
    await page.getByRole('button', { name: /On the road/ }).click();
    await expect(page.getByRole('log')).toContainText('did not come back');
    await expect(page.getByRole('complementary', { name: 'Sessions' })).toBeHidden();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).toBe(390);
    const small = await page.evaluate(() =>
      [...document.querySelectorAll('button, input, textarea')]
        .filter((element) => element.checkVisibility({ visibilityProperty: true }))
        .map((element) => ({ box: element.getBoundingClientRect(), html: element.outerHTML.slice(0, 120) }))
        .filter(({ box }) => box.width > 0 && (box.height < 43.5 || box.width < 43.5))
        .map(({ html }) => html),
    );
    expect(small).toEqual([]);
    // The key of a touch keyboard makes a line; the button sends.
    await page.getByRole('textbox', { name: 'Prompt' }).fill('a');
    await page.getByRole('textbox', { name: 'Prompt' }).press('Enter');
    expect(gateway.ran).toEqual([]);
    await page.getByRole('button', { name: 'Send' }).tap();
    await expect(page.getByRole('log').locator('footer')).toHaveCount(2);
    await context.close();
  });
});

test('the end of a turn calls a person once, not once for each tab', async ({ gateway, served, arrive }) => {
  const session = gateway.session('Far away');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.context.addInitScript(() => {
    Object.defineProperty(document, 'hidden', { get: () => true });
    class Recorder {
      static permission = 'granted';
      static requestPermission = () => Promise.resolve('granted');
      onclick = null;
      constructor(_: string, options: { body: string }) {
        localStorage.setItem(`called.${Math.random()}`, options.body);
      }
    }
    Object.defineProperty(window, 'Notification', { value: Recorder });
    localStorage.setItem('breakglass.notify', 'yes');
  });
  await ana.page.reload();
  const tabs = await Promise.all([1, 2].map(() => ana.context.newPage()));
  for (const tab of tabs) {
    await tab.goto(`${served.url}/#/${session.session}`);
    await expect(tab.getByText('live', { exact: true })).toBeVisible();
  }
  const called = () => ana.page.evaluate(() => Object.entries(localStorage).filter(([name]) => name.startsWith('called.')).map(([, text]) => text));
  session.prompt('[[events:3]]', 'ben', 'k1');
  await expect.poll(called).toEqual(['The turn has ended: Far away']);
  session.prompt('[[events:3]]', 'ben', 'k2');
  await expect.poll(async () => (await called()).length).toBe(2);
  // Long enough for every tab to have had its turn.
  await ana.page.waitForTimeout(1_500);
  expect((await called()).length).toBe(2);
});
