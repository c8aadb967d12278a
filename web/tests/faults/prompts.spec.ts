import { expect, test } from './fixtures';

test('a prompt whose answer is lost runs once', async ({ gateway, arrive }) => {
  const session = gateway.session('Once');
  const ana = await arrive('ana', `#/${session.session}`);
  gateway.faults.breakBeforeAccepted = true;
  await ana.ask('restart nginx');
  await expect(ana.turnEnd(1)).toContainText('Finished');
  await expect(ana.transcript.locator('.pending')).toHaveCount(0);
  expect(gateway.ran).toEqual(['restart nginx']);
  await expect(ana.transcript.locator('.row.prompt')).toHaveCount(1);
});

test('a prompt that was written without a connection survives a reload and runs once', async ({ gateway, served, arrive }) => {
  const session = gateway.session('Patience');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.isLive();
  gateway.faults.unreachable = true;
  gateway.breakAll();
  await expect(ana.page.getByText(/reconnecting/).first()).toBeVisible();
  await ana.ask('df -h please');
  await expect(ana.transcript).toContainText('waits for the connection');
  await ana.composer.fill('half a thou');
  // The page itself comes from elsewhere here: only the gateway's part is out of reach.
  await ana.page.goto(`${served.url}/?again#/${session.session}`);
  await expect(ana.transcript).toContainText('df -h please');
  await expect(ana.composer).toHaveValue('half a thou');
  expect(gateway.ran).toEqual([]);
  gateway.faults.unreachable = false;
  await expect(ana.turnEnd(1)).toContainText('Finished', { timeout: 30_000 });
  expect(gateway.ran).toEqual(['df -h please']);
});

test('what waits can be taken back and changed', async ({ gateway, arrive }) => {
  const session = gateway.session('Second thoughts');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.isLive();
  gateway.faults.unreachable = true;
  gateway.breakAll();
  await expect(ana.page.getByText(/reconnecting/).first()).toBeVisible();
  await ana.ask('rm -rf');
  await ana.page.getByRole('button', { name: 'Edit' }).click();
  await expect(ana.composer).toHaveValue('rm -rf');
  await expect(ana.composer).toBeFocused();
  await ana.composer.fill('');
  gateway.faults.unreachable = false;
  await ana.isLive();
  expect(gateway.ran).toEqual([]);
});

test('while a turn runs, a prompt is offered to wait for its end', async ({ gateway, arrive }) => {
  const session = gateway.session('Busy');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.isLive();
  session.prompt('[[events:12]] [[pace:250]]', 'ben', 'k');
  await expect(ana.page.getByText(/Running: ben’s turn/)).toBeVisible();
  await ana.composer.fill('and then the switch');
  await expect(ana.page.getByText(/Busy: ben’s turn/)).toBeVisible();
  await ana.page.getByRole('button', { name: 'Send when it ends' }).click();
  await expect(ana.transcript).toContainText('Is sent when the turn that runs has ended');
  expect(gateway.ran).toEqual([]);
  await expect(ana.turnEnd(2)).toContainText('Finished');
  expect(gateway.ran).toEqual(['and then the switch']);
});

test('who is slower by a moment is asked', async ({ gateway, arrive }) => {
  const session = gateway.session('Race');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.isLive();
  // The turn exists at the gateway, but nobody has been told yet.
  session.turn = { turn: 't', by: 'ben', since: new Date().toISOString() };
  await ana.ask('me first');
  await expect(ana.transcript).toContainText('Not sent, busy: ben’s turn');
  session.turn = null;
  await ana.page.getByRole('button', { name: 'Send when it ends' }).click();
  await expect(ana.turnEnd(1)).toContainText('Finished');
  expect(gateway.ran).toEqual(['me first']);
});

test('Stop answers at once, and is sent later when there is no connection', async ({ gateway, arrive }) => {
  const session = gateway.session('Stop');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.ask('[[events:5000]] [[pace:100]]');
  await expect(ana.stop).toBeVisible();
  await expect(ana.transcript).toContainText('Event 2 of');
  gateway.faults.unreachable = true;
  gateway.breakAll();
  await expect(ana.page.getByText(/reconnecting/).first()).toBeVisible();
  await ana.stop.click();
  await expect(ana.page.getByText(/Stopping … as soon as/)).toBeVisible();
  gateway.faults.unreachable = false;
  await expect(ana.turnEnd(1)).toContainText('Stopped', { timeout: 30_000 });
  await expect(ana.transcript).toContainText('Stopped by you');
});

test('Enter sends, Shift+Enter makes a line, and drafts stay with their session', async ({ gateway, arrive }) => {
  const one = gateway.session('One');
  gateway.session('Two');
  const ana = await arrive('ana', `#/${one.session}`);
  await ana.composer.fill('first');
  await ana.composer.press('Shift+Enter');
  await ana.composer.pressSequentially('second');
  await expect(ana.composer).toHaveValue('first\nsecond');
  await ana.openSession('Two');
  await expect(ana.composer).toHaveValue('');
  await ana.openSession('One');
  await expect(ana.composer).toHaveValue('first\nsecond');
  await ana.composer.press('Enter');
  await expect(ana.composer).toHaveValue('');
  await expect(ana.transcript.locator('.row.prompt')).toContainText('first\nsecond');
});

test('a prompt that is too long stays where it is', async ({ gateway, arrive }) => {
  const session = gateway.session('Long');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.composer.fill('ö'.repeat(140_000));
  await ana.composer.press('Enter');
  await expect(ana.page.getByRole('alert')).toContainText('Too long for one prompt');
  expect((await ana.composer.inputValue()).length).toBe(140_000);
  expect(gateway.ran).toEqual([]);
});

test('what waits for the end of a turn still waits after a reload', async ({ gateway, served, arrive }) => {
  const session = gateway.session('Queue');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.isLive();
  session.prompt('[[events:20]] [[pace:250]]', 'ben', 'k');
  await expect(ana.page.getByText(/Running: ben’s turn/)).toBeVisible();
  await ana.ask('after ben');
  await expect(ana.transcript).toContainText('Is sent when the turn that runs has ended');
  await ana.page.goto(`${served.url}/?again#/${session.session}`);
  await expect(ana.transcript).toContainText('Is sent when the turn that runs has ended');
  expect(gateway.ran).toEqual([]);
  await expect(ana.turnEnd(2)).toContainText('Finished');
  expect(gateway.ran).toEqual(['after ben']);
});
