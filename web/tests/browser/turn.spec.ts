// A turn from its prompt to its end, and how it is stopped.
import { expect, test } from './fixtures';

/** A tool that never comes back, as the agent prints it. */
const STUCK = '{"type":"assistant","message":{"content":[{"type":"tool_use","id":"toolu_stuck","name":"Bash","input":{"command":"fsck -y /dev/vdb1"}}]}}';

test('a whole turn: prompt, prose, tools, result, end', async ({ arrive }) => {
  const ana = await arrive('ana');
  await ana.newSession('A whole turn');
  await expect(ana.page.getByRole('group', { name: 'Presets' }).getByRole('button')).toHaveCount(5);
  await ana.ask('the disk is full and postgres is down [[speed:6]]');
  await expect(ana.stop).toBeVisible();
  await expect(ana.page).toHaveTitle('● running · A whole turn · breakglass');
  await expect(ana.page.getByText(/Running: your turn/)).toBeVisible();
  await expect(ana.page.getByRole('status').filter({ hasText: 'working' })).toHaveCount(1);
  await expect(ana.turnEnd(1)).toContainText(/Finished after/);
  await expect(ana.stop).toBeHidden();
  await expect(ana.page).toHaveTitle('✓ done · A whole turn · breakglass');
  await expect(ana.page.getByRole('status').filter({ hasText: 'finished' })).toHaveCount(1);
  await expect(ana.tool('Bash: ok').first()).toContainText('df -h / /var');
  await expect(ana.tool('Bash: failed')).toContainText('No space left on device');
  await expect(ana.tool('TodoWrite: ok').last()).toContainText('4 of 4 done');
  await expect(ana.tool('Edit: ok')).toContainText('maxsize 1G');
  await expect(ana.transcript.locator('article.running')).toHaveCount(0);
  await expect(ana.transcript.locator('.prose strong').last()).toHaveText('Recovered.');
  const shown = await ana.seqs();
  await ana.page.reload();
  await expect(ana.turnEnd(1)).toContainText(/Finished after/);
  expect(await ana.seqs()).toEqual(shown);
});

test('a turn that fails says so in the transcript, the list and the tab', async ({ arrive }) => {
  const ana = await arrive('ana');
  await ana.newSession('Fails');
  await ana.ask('[[stderr:cannot reach the API: connection refused]] [[exit:3]]');
  await expect(ana.turnEnd(1)).toContainText(/Failed \(exit 3\)/);
  await expect(ana.transcript).toContainText('cannot reach the API');
  await expect(ana.transcript).toContainText('The conversation is kept');
  await expect(ana.page).toHaveTitle('✕ failed · Fails · breakglass');
  await ana.openList();
  const item = ana.sessions.getByRole('button').filter({ hasText: 'Fails' });
  await expect(item.getByRole('img', { name: 'failed' })).toBeVisible();
  // The list knows it from the gateway, also for who comes later.
  const ben = await arrive('ben');
  await ben.openList();
  await expect(ben.sessions.getByRole('button').filter({ hasText: 'Fails' }).getByRole('img', { name: 'failed' })).toBeVisible();
});

test('stop in mid-tool', async ({ arrive }) => {
  const ana = await arrive('ana');
  await ana.newSession('Stopped in a tool');
  await ana.ask(`[[line:${STUCK}]] [[hang]]`);
  await expect(ana.tool('Bash: running')).toContainText('fsck -y /dev/vdb1');
  const ben = await arrive('ben');
  await ben.openSession('Stopped in a tool');
  await ben.stop.click();
  for (const person of [ana, ben]) {
    await expect(person.turnEnd(1)).toContainText('Stopped');
    await expect(person.tool('Bash: interrupted')).toBeVisible();
    await expect(person.stop).toBeHidden();
  }
  await expect(ana.transcript).toContainText('Stopped by ben');
  await expect(ben.transcript).toContainText('Stopped by you');
  await ana.ask('[[text:and on it goes]]');
  await expect(ana.turnEnd(2)).toContainText('Finished');
});

test('while a turn runs, a prompt waits for its end', async ({ arrive, gateway }) => {
  const session = await gateway.session('Busy');
  await gateway.prompt(session, '[[wait:3000]] [[text:the first]]', 'ben');
  const ana = await arrive('ana');
  await ana.goTo(session);
  await ana.composer.fill('[[text:the second]]');
  await expect(ana.page.getByText(/Busy: ben’s turn/)).toBeVisible();
  await ana.page.getByRole('button', { name: 'Send when it ends' }).click();
  await expect(ana.transcript).toContainText('Is sent when the turn that runs has ended');
  await expect(ana.turnEnd(2)).toContainText('Finished');
  await expect(ana.transcript.locator('.row.prompt')).toHaveCount(2);
});

test('what is redacted on the machine is gone from every page that shows it', async ({ arrive, gateway }) => {
  const session = await gateway.session('Redacted');
  await gateway.turn(session, '[[say:It is hunter2.]] [[speed:max]]', 'ben');
  const [ana, aud] = [await arrive('ana'), await arrive('aud')];
  for (const person of [ana, aud]) {
    await person.goTo(session);
    await expect(person.transcript).toContainText('hunter2');
  }
  const { events } = (await gateway.call('first', 'GET', `/api/sessions/${session}/events`)) as { events: { seq: number }[] };
  const leaks = events.filter((event) => JSON.stringify(event).includes('hunter2'));
  expect(leaks.length).toBeGreaterThan(0);
  for (const { seq } of leaks) gateway.redact(session, seq, 'a password');
  for (const person of [ana, aud]) {
    await expect(person.transcript).toContainText('took away for good what event #1 said: a password');
    await expect(person.transcript).not.toContainText('hunter2');
    await expect(person.transcript.locator('[data-seq="1"]')).toContainText('[redacted]');
    expect(person.complaints).toEqual([]);
  }
});
