// Who comes, who is there, and who may do what.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from './fixtures';
import { Gateway } from './gateway';
import { Person } from './person';

test('the printed link signs in and leaves the address bar', async ({ browser, gateway }) => {
  const ana = await Person.arrive(browser, gateway.link);
  await ana.isLive();
  expect(ana.page.url()).not.toContain('token');
  await ana.page.reload();
  await ana.isLive();
  expect(ana.complaints).toEqual([]);
  await ana.context.close();
});

test('a wrong token is refused with a word, a right one comes in', async ({ browser, gateway }) => {
  const ana = await Person.arrive(browser, `${gateway.url}/`);
  const field = ana.page.getByLabel('Token');
  await field.fill('not-a-token');
  await ana.page.getByRole('button', { name: 'Sign in' }).click();
  await expect(ana.page.getByRole('alert')).toContainText('does not know this token');
  await field.fill(gateway.link.split('#token=')[1]!);
  await ana.page.getByRole('button', { name: 'Sign in' }).click();
  await ana.isLive();
  await ana.context.close();
});

test('a revoked token ends with a word; the screen and the draft stay', async ({ arrive, gateway }) => {
  const session = await gateway.session('Revoked in the middle');
  await gateway.turn(session, '[[text:what was on the screen]]');
  const mallory = await arrive('mallory');
  await mallory.goTo(session);
  await mallory.composer.fill('half a thou');
  gateway.revoke('mallory');
  await expect(mallory.page.getByText('You are signed out:')).toBeVisible();
  await expect(mallory.transcript).toContainText('what was on the screen');
  await expect(mallory.composer).toHaveValue('half a thou');
  const link = gateway.invite('mallory', 'operator');
  await mallory.page.getByLabel('Token').fill(link);
  await mallory.page.getByRole('button', { name: 'Sign in' }).click();
  await mallory.isLive();
  await expect(mallory.composer).toHaveValue('half a thou');
});

test('two operators see the same turn, and each other', async ({ arrive }) => {
  const ana = await arrive('ana');
  await ana.newSession('Two watch');
  const ben = await arrive('ben');
  await ben.openSession('Two watch');
  await expect(ana.page.getByText('ben', { exact: true }).first()).toBeVisible();
  await expect(ben.page.getByText('ana', { exact: true }).first()).toBeVisible();
  await ana.ask('check the disks [[speed:20]]');
  await expect(ben.transcript.locator('.row.prompt')).toContainText('ana');
  await expect(ben.page.getByText(/Running: ana’s turn/)).toBeVisible();
  for (const person of [ana, ben]) await expect(person.turnEnd(1)).toContainText('Finished');
  expect(await ana.seqs()).toEqual(await ben.seqs());
  expect(await ana.words('prose')).toEqual(await ben.words('prose'));
  // Ben answers in his turn, and Ana meets it as his.
  await ben.ask('[[text:and one from ben]]');
  await expect(ana.transcript.locator('.row.prompt').nth(1)).toContainText('ben');
  await expect(ana.turnEnd(2)).toContainText('Finished');
  await ben.context.close();
  await expect(ana.page.locator('.presence')).toHaveCount(0);
});

test('a viewer reads along and can do nothing else', async ({ arrive, gateway }) => {
  const session = await gateway.session('Read only');
  const vic = await arrive('vic');
  await vic.goTo(session);
  await expect(vic.page.getByText('Read only: you are signed in as viewer')).toBeVisible();
  await expect(vic.composer).toHaveCount(0);
  await expect(vic.page.getByTitle('Change the title')).toHaveCount(0);
  await gateway.turn(session, '[[text:seen by the viewer]]');
  await expect(vic.transcript).toContainText('seen by the viewer');
  await expect(vic.turnEnd(1)).toContainText('Finished');
  await expect(await vic.menu('Plain page')).toBeVisible();
  await expect(vic.page.getByText('Export (JSONL)')).toHaveCount(0);
  await expect(vic.page.getByText('Archive', { exact: true })).toHaveCount(0);
  await vic.page.keyboard.press('Escape');
  await vic.openList();
  await expect(vic.sessions.getByRole('button', { name: 'New session' })).toHaveCount(0);
  expect((await vic.page.request.get(`${gateway.url}/api/sessions/${session}/export?format=jsonl`)).status()).toBe(403);
});

/** The records of an export, which must be the whole history in order. */
function records(export_text: string): { seq: number; kind: string }[] {
  const all = export_text.trimEnd().split('\n').map((line) => JSON.parse(line) as { seq: number; kind: string });
  expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1));
  expect(all.at(0)?.kind).toBe('user');
  expect(all.at(-1)?.kind).toBe('turn_end');
  return all;
}

test('an auditor may export, and reads the plain page', async ({ arrive, gateway }) => {
  const session = await gateway.session('Read without a script');
  await gateway.turn(session, 'why is memory short? [[speed:max]]');
  const aud = await arrive('aud');
  await aud.goTo(session);
  await expect(aud.page.getByText('Read only: you are signed in as auditor')).toBeVisible();
  const href = await (await aud.menu('Export (JSONL)')).getAttribute('href');
  const exported = await aud.page.request.get(`${gateway.url}${href}`, { headers: { 'accept-encoding': 'identity' } });
  const { length } = records(await exported.text());
  const opening = aud.context.waitForEvent('page');
  await aud.page.locator('#menu').getByText('Plain page').click();
  const plain = await opening;
  await expect(plain.getByRole('heading', { name: 'Read without a script' })).toBeVisible();
  await expect(plain.locator('article')).toHaveCount(length);
  expect(await plain.locator('script').count()).toBe(0);
});

test('a click saves the whole history', async ({ arrive, gateway }, { outputDir }) => {
  const session = await gateway.session('Taken away');
  await gateway.turn(session, 'why is memory short? [[speed:max]]');
  const aud = await arrive('aud');
  await aud.goTo(session);
  const saving = aud.page.waitForEvent('download');
  await (await aud.menu('Export (JSONL)')).click();
  const path = `${outputDir}/export.jsonl`;
  await (await saving).saveAs(path);
  records(readFileSync(path, 'utf8'));
});

test('search: a session by its title, a text in its transcript', async ({ arrive, gateway }) => {
  const session = await gateway.session('Needle: the database on db-7');
  await gateway.session('Hay');
  await gateway.turn(session, '[[text:first straw]] [[bash:grep oom /var/log/syslog => one hit]] [[text:Second straw]]');
  const ana = await arrive('ana');
  await ana.openList();
  const search = ana.page.getByRole('searchbox', { name: 'Search sessions' });
  await search.fill('DB-7');
  await expect(ana.sessions.getByRole('listitem')).toHaveCount(1);
  await search.press('Enter');
  await expect(ana.page.getByRole('heading', { name: /Needle/ })).toBeVisible();
  await (await ana.menu('Find in this session')).click();
  const find = ana.page.getByRole('searchbox', { name: 'Find in this session' });
  await expect(find).toBeFocused();
  await find.fill('straw');
  const count = ana.page.getByRole('search').getByRole('status');
  // The prompt holds the words too.
  await expect(count).toHaveText('3 hits');
  await find.press('Enter');
  await expect(count).toHaveText('3 of 3');
  await expect(ana.transcript.locator('.row.marked')).toContainText('Second straw');
  await find.fill('one hit');
  await find.press('Enter');
  await expect(ana.transcript.locator('.row.marked article')).toBeInViewport();
  await find.press('Escape');
  await expect(find).toHaveCount(0);
});

test('presets come from the gateway’s own file', async ({ browser }, { outputDir }) => {
  mkdirSync(outputDir, { recursive: true });
  const path = `${outputDir}/presets.toml`;
  writeFileSync(path, '[[preset]]\nlabel = "Page the DBA"\nprompt = "Who is on call?"\n');
  const gateway = new Gateway({ BREAKGLASS_PRESETS: path });
  await gateway.start();
  const ana = await Person.arrive(browser, gateway.link);
  await ana.newSession('With presets');
  await expect(ana.page.getByRole('group', { name: 'Presets' }).getByRole('button')).toHaveText(['Page the DBA']);
  await ana.page.getByRole('button', { name: 'Page the DBA' }).click();
  await expect(ana.composer).toHaveValue('Who is on call?');
  await ana.context.close();
  await gateway.close();
});
