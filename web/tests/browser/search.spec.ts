// The search across sessions, the exports beside it, and what proves them: the real gateway.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from './fixtures';
import { violations } from './axe';
import type { Person } from './person';

const field = (person: Person) => person.page.getByRole('searchbox', { name: 'Search what was said and done' });
const hits = (person: Person) => person.page.getByRole('main').getByRole('listitem');

/** Brings the search onto the screen, and asks until `wanted` hits are there: the index follows the log a moment later. */
async function ask(person: Person, words: string, wanted: number): Promise<void> {
  await person.openList();
  await person.sessions.getByRole('button', { name: 'Search everything' }).click();
  await field(person).fill(words);
  await expect(async () => {
    await field(person).press('Enter');
    await expect(hits(person)).toHaveCount(wanted, { timeout: 2_000 });
  }).toPass({ timeout: 30_000 });
}

async function filter(person: Person): Promise<void> {
  if (person.onPhone) await person.page.getByText('Filters', { exact: true }).click();
}

test('finds the event in an older session and opens there', async ({ arrive, gateway }) => {
  const session = await gateway.session('Last month');
  await gateway.turn(session, '[[events:400 size:60]]', 'ben');
  await gateway.turn(session, '[[text:the quokka unit was masked]] [[bash:systemctl unmask quokka => removed quokka.service]]', 'ben');
  await gateway.turn(session, '[[events:400 size:60]]', 'ben');
  await gateway.session('Today');
  const vic = await arrive('vic');
  await vic.openSession('Today');
  // The prompt, the agent's text, the command, its output, and the result, which repeats the text.
  await ask(vic, 'quok', 5);
  await expect(hits(vic).first()).toContainText('Last month');
  await expect(hits(vic).first().locator('mark').first()).toHaveText('quokka');
  await hits(vic).filter({ hasText: 'output' }).getByRole('link').click();
  await expect(vic.page.getByRole('heading', { name: 'Last month' })).toBeVisible();
  await expect(vic.transcript.locator('.row.marked')).toContainText('removed quokka.service');
  await expect(vic.transcript.locator('.row.marked')).toBeInViewport();
  await vic.page.goBack();
  await expect(hits(vic)).toHaveCount(5);
});

test('filters by kind, person and day, a phrase, and page by page', async ({ arrive, gateway }) => {
  const session = await gateway.session('Numbat');
  await gateway.turn(session, 'numbat [[text:numbat disk is full]] [[stderr:numbat is gone]] [[exit:1]]', 'ben');
  await gateway.turn(session, '[[text:full of numbat]]', 'ana');
  const ana = await arrive('ana');
  await ask(ana, 'numbat', 6);
  await filter(ana);
  await ana.page.getByRole('combobox', { name: 'Kind' }).selectOption('Prompts');
  await expect(hits(ana)).toHaveCount(2);
  await ana.page.getByRole('combobox', { name: 'Who' }).fill('ben');
  await expect(hits(ana)).toHaveCount(1);
  await ana.page.getByRole('combobox', { name: 'Kind' }).selectOption('Prompts whose turn failed');
  await expect(hits(ana)).toHaveCount(1);
  await ana.page.getByRole('button', { name: 'Clear the filters' }).click();
  await field(ana).fill('"disk is full" numbat');
  await expect(hits(ana)).toHaveCount(2);
  await field(ana).fill('numbat');
  await expect(hits(ana)).toHaveCount(6);
  await filter(ana);
  await ana.page.getByRole('textbox', { name: 'From' }).fill('2031-01-01');
  await expect(ana.page.getByText('No hits.')).toBeVisible();
  await ana.page.getByRole('button', { name: 'Clear the filters' }).click();
  await field(ana).fill('"no such thing"');
  await expect(ana.page.getByText('No hits.')).toBeVisible();
  const many = await gateway.session('Many');
  await gateway.turn(many, Array.from({ length: 40 }, (_, n) => `[[text:wombat ${n}]]`).join(' '), 'ana');
  await ask(ana, 'wombat', 30);
  await ana.page.getByRole('button', { name: 'Show older hits' }).click();
  await expect(hits(ana)).toHaveCount(42);
  await expect(ana.page.getByRole('button', { name: 'Show older hits' })).toHaveCount(0);
});

test('what was said is shown as text, whatever it is', async ({ arrive, gateway }) => {
  const session = await gateway.session('<b>Odd</b> title');
  await gateway.turn(session, '[[text:bilby <img src=x onerror=alert(1)> <mark>x</mark>]]', 'ana');
  const aud = await arrive('aud');
  await ask(aud, 'bilby onerror', 3);
  await expect(hits(aud).first()).toContainText('<img src=x onerror=alert(1)>');
  await expect(hits(aud).first()).toContainText('<b>Odd</b> title');
  expect(await violations(aud.page)).toEqual([]);
});

test('an auditor takes every format away, and the bundle proves itself', async ({ arrive, gateway }, { outputDir }) => {
  const session = await gateway.session('Taken and proved');
  await gateway.turn(session, 'why is memory short? [[speed:max]]');
  const aud = await arrive('aud');
  await aud.goTo(session);
  const save = async (label: string, as: string) => {
    const saving = aud.page.waitForEvent('download');
    await (await aud.menu(`Export (${label})`)).click();
    const download = await saving;
    expect(download.suggestedFilename()).toBe(`breakglass-${session}.${as.split('.')[1]}`);
    await download.saveAs(`${outputDir}/${as}`);
    return `${outputDir}/${as}`;
  };
  expect(readFileSync(await save('Markdown', 'export.md'), 'utf8')).toMatch(/why is memory short\?[^]*End of the export\.\s*$/);
  expect(readFileSync(await save('HTML', 'export.html'), 'utf8')).toMatch(/why is memory short\?[^]*<\/html>\s*$/);
  await (await aud.menu('Proof of the log')).click();
  const dialog = aud.page.getByRole('dialog', { name: 'Proof of the log' });
  await expect(dialog).toBeVisible();
  // Signed a moment after the turn's end; the dialog asks when it is opened.
  await expect(async () => {
    await dialog.getByRole('button', { name: 'Close' }).click();
    await (await aud.menu('Proof of the log')).click();
    await expect(dialog.getByLabel('The newest checkpoint')).toContainText(`/sessions/${session}`, { timeout: 2_000 });
  }).toPass({ timeout: 30_000 });
  expect(await violations(aud.page)).toEqual([]);
  const pinned = `${outputDir}/pinned.txt`;
  writeFileSync(pinned, await dialog.getByLabel('The newest checkpoint').innerText());
  await dialog.getByRole('button', { name: 'Close' }).click();
  const bundle = await save('bundle with proofs', 'bundle.zip');
  const key = `${outputDir}/key.txt`;
  writeFileSync(key, gateway.key());
  const done = spawnSync(process.env['BREAKGLASS_BIN']!, ['verify', bundle, '--key', key, '--pinned', pinned], { encoding: 'utf8' });
  expect(done.status, `${done.stdout}${done.stderr}`).toBe(0);
});
