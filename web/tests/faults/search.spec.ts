import { violations } from '../browser/axe';
import { expect, test } from './fixtures';
import type { FakeGateway } from '../fake/gateway';
import type { Person } from '../browser/person';

/** Two sessions, in which ben and ana looked at a disk. */
function past(gateway: FakeGateway) {
  const disk = gateway.session('Disk of db-1');
  const at = (minute: number) => new Date(Date.UTC(2026, 10, 20, 3, minute));
  disk.add('t1', { kind: 'user', text: 'the disk is full', by: 'ben', model: 'm' }, at(0));
  disk.add('t1', { kind: 'tool', name: 'Bash', input: { command: 'df -h /disk' }, ref: 'a' }, at(1));
  disk.add('t1', { kind: 'tool_result', is_error: false, output: 'disk 98G 97G 0 100% /', bytes: 20, ref: 'a' }, at(2));
  for (let n = 1; n <= 60; n++) disk.add('t1', { kind: 'text', text: `Step ${n} on the disk.` }, at(3));
  const mail = gateway.session('Mail of mx-2', 'ben');
  mail.add('t2', { kind: 'user', text: 'is its disk full, too?', by: 'ana', model: 'm' }, new Date(Date.UTC(2026, 10, 21, 12)));
  mail.add('t2', { kind: 'text', text: '<img src=x onerror="window.pwned=1"> \u202eevil disk' }, new Date(Date.UTC(2026, 10, 21, 12)));
  return { disk, mail };
}

const field = (person: Person) => person.page.getByRole('searchbox', { name: 'Search what was said and done' });
const hits = (person: Person) => person.page.getByRole('main').getByRole('listitem');
const said = (person: Person) => person.page.getByRole('main').getByRole('status');

async function ask(person: Person, words: string): Promise<void> {
  await person.openList();
  await person.sessions.getByRole('button', { name: 'Search everything' }).click();
  await expect(field(person)).toBeFocused();
  await person.page.keyboard.type(words);
}

test('finds across sessions, page by page, and opens at the event', async ({ gateway, arrive }) => {
  const { disk } = past(gateway);
  const aud = await arrive('aud');
  await ask(aud, 'disk');
  await expect(said(aud)).toHaveText('30 hits, and there are more, the newest first');
  await expect(hits(aud).first()).toContainText('Mail of mx-2');
  await expect(hits(aud).first().locator('mark')).toHaveText('disk');
  for (const hits of [60, 65]) {
    await aud.page.getByRole('button', { name: 'Show older hits' }).click();
    await expect(said(aud)).toContainText(`${hits} hits`);
  }
  await expect(said(aud)).toHaveText('65 hits, the newest first');
  await hits(aud).filter({ hasText: 'df -h' }).getByRole('link').click();
  await expect(aud.page).toHaveURL(new RegExp(`#/${disk.session}/2$`));
  await expect(aud.transcript.locator('.row.marked')).toContainText('df -h /disk');
  // The way back leads to the same hits, at the one that was opened.
  await aud.page.goBack();
  await expect(said(aud)).toHaveText('65 hits, the newest first');
  await expect(hits(aud).getByRole('link').and(aud.page.locator(':focus'))).toContainText('df -h');
  expect(await aud.page.evaluate(() => 'pwned' in window)).toBe(false);
});

test('filters: kind, who, from and to, one session; the address keeps them', async ({ gateway, arrive, served }) => {
  const { disk } = past(gateway);
  const aud = await arrive('aud', '#search?q=disk&what=prompts');
  await expect(hits(aud)).toHaveCount(2);
  await aud.page.getByRole('combobox', { name: 'Who' }).fill('ben');
  await expect(hits(aud)).toHaveCount(1);
  await expect(hits(aud)).toContainText('the disk is full');
  await aud.page.getByRole('combobox', { name: 'Kind' }).selectOption('Output of commands');
  await expect(said(aud)).toHaveText('No hits.');
  await aud.page.getByRole('button', { name: 'Clear the filters' }).click();
  await aud.page.getByRole('textbox', { name: 'From' }).fill('2026-11-21');
  await expect(hits(aud)).toHaveCount(2);
  await aud.page.getByRole('textbox', { name: 'To' }).fill('2026-11-20');
  await expect(aud.page.getByText('“From” lies after “To”')).toBeVisible();
  await aud.page.getByRole('textbox', { name: 'To' }).fill('2026-11-22');
  await expect(hits(aud)).toHaveCount(2);
  await expect(aud.page).toHaveURL(/#search\?q=disk&from=2026-11-21&to=2026-11-22$/);
  await aud.page.reload();
  await expect(hits(aud)).toHaveCount(2);
  await expect(field(aud)).toHaveValue('disk');
  await aud.page.goto(`${served.url}/#/${disk.session}`);
  await expect(aud.transcript).toContainText('Step 60');
  await aud.page.keyboard.press('/');
  await aud.page.keyboard.type('98G');
  await aud.page.getByRole('link', { name: 'search all of it' }).click();
  await expect(hits(aud)).toHaveCount(1);
  await expect(aud.page.getByText('Only in Disk of db-1')).toBeVisible();
});

test('says when there is nothing, when it failed, and when the newest may be missing', async ({ gateway, arrive }) => {
  past(gateway);
  const ana = await arrive('ana');
  await ask(ana, 'nowhere');
  await expect(said(ana)).toHaveText('No hits.');
  gateway.faults.searchFails = true;
  await field(ana).fill('disk');
  await expect(ana.page.getByText('The search failed.')).toBeVisible();
  gateway.faults.searchFails = false;
  gateway.faults.searchBehind = 12;
  await ana.page.getByRole('button', { name: 'Try again' }).click();
  await expect(ana.page.getByText('12 events not searched yet: the newest may be missing.')).toBeVisible();
  await expect(hits(ana)).toHaveCount(30);
  gateway.faults.searchBehind = 0;
  await ana.page.getByRole('button', { name: 'Search again' }).click();
  await expect(ana.page.getByText('not searched yet')).toHaveCount(0);
  // Without a connection it says so, keeps what it has, and asks again by itself.
  gateway.faults.unreachable = true;
  gateway.breakAll();
  await field(ana).fill('mail');
  await field(ana).press('Enter');
  await expect(ana.page.getByText('the gateway does not answer')).toBeVisible();
  await expect(hits(ana)).toHaveCount(30);
  gateway.faults.unreachable = false;
  await ana.isLive();
  await expect(said(ana)).toHaveText('No hits.');
  await field(ana).fill('');
  await expect(ana.page.getByText('Finds words in the prompts')).toBeVisible();
});

test('a slow answer to an old question is not shown', async ({ gateway, arrive }) => {
  past(gateway);
  const ana = await arrive('ana');
  await ask(ana, '');
  let late: (() => void) | undefined;
  await ana.page.route(/api\/search\?q=disk/, async (route) => {
    await new Promise<void>((resolve) => (late = resolve));
    await route.continue().catch(() => undefined);
  });
  await field(ana).fill('disk');
  await expect.poll(() => late).toBeDefined();
  await field(ana).fill('98G');
  await expect(hits(ana)).toHaveCount(1);
  late!();
  await field(ana).press('Enter');
  await expect(said(ana)).toHaveText('1 hit, the newest first');
});

test('from the keyboard alone', async ({ gateway, arrive }) => {
  past(gateway);
  const ana = await arrive('ana');
  const { keyboard } = ana.page;
  await keyboard.press('s');
  await expect(field(ana)).toBeFocused();
  await keyboard.type('disk');
  await expect(hits(ana)).toHaveCount(30);
  await keyboard.press('ArrowDown');
  await keyboard.press('ArrowDown');
  await keyboard.press('j');
  await keyboard.press('k');
  await expect(hits(ana).nth(1).getByRole('link')).toBeFocused();
  await keyboard.press('Enter');
  await expect(ana.transcript.locator('.row.marked')).toContainText('is its disk full, too?');
  await keyboard.press('s');
  await expect(field(ana)).toBeFocused();
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the search stands in nobody’s way (${colorScheme})`, async ({ gateway, arrive }) => {
    past(gateway);
    const ana = await arrive('ana', '#search');
    await ana.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await expect(field(ana)).toBeVisible();
    expect(await violations(ana.page), 'blank').toEqual([]);
    gateway.faults.searchBehind = 3;
    await field(ana).fill('disk');
    await expect(hits(ana)).toHaveCount(30);
    expect(await violations(ana.page), 'hits').toEqual([]);
    gateway.faults.searchFails = true;
    await field(ana).press('Enter');
    await expect(ana.page.getByRole('button', { name: 'Try again' })).toBeVisible();
    expect(await violations(ana.page), 'failed').toEqual([]);
  });
}

test('on a phone it fits, and is big enough for a thumb', async ({ gateway, served, browser }) => {
  past(gateway);
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const page = await context.newPage();
  await page.goto(`${served.url}/#token=aud-token`);
  await page.getByRole('button', { name: 'Sessions', exact: true }).tap();
  await page.getByRole('button', { name: 'Search everything' }).tap();
  await expect(page.getByRole('complementary', { name: 'Sessions' })).toBeHidden();
  await page.getByRole('searchbox', { name: 'Search what was said and done' }).fill('disk');
  await page.getByText('Filters', { exact: true }).tap();
  await page.getByLabel('Kind').selectOption('Commands');
  await expect(page.getByRole('main').getByRole('listitem')).toHaveCount(1);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
  const small = await page.evaluate(() =>
    [...document.querySelectorAll('button, input, select, summary, main a')]
      .filter((element) => element.checkVisibility({ visibilityProperty: true }))
      .map((element) => ({ box: element.getBoundingClientRect(), html: element.outerHTML.slice(0, 120) }))
      .filter(({ box }) => box.width > 0 && (box.height < 43.5 || box.width < 43.5))
      .map(({ html }) => html),
  );
  expect(small).toEqual([]);
  await page.getByRole('main').getByRole('link').tap();
  await expect(page.getByRole('log').locator('.row.marked')).toContainText('df -h /disk');
  await context.close();
});
