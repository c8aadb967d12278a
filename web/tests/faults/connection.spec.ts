import { expect, test } from './fixtures';

test('a broken connection comes back and nothing is missing', async ({ gateway, arrive }) => {
  const session = gateway.session('Breaks');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.ask('[[events:150]] [[pace:20]]');
  for (const seen of ['Event 10 of', 'Event 60 of', 'Event 110 of']) {
    await expect(ana.transcript).toContainText(seen);
    gateway.breakAll();
  }
  await expect(ana.turnEnd(1)).toContainText('Finished', { timeout: 30_000 });
  // The event that names the agent's conversation (2) shows nothing.
  expect(await ana.seqs()).toEqual([1, ...Array.from({ length: 151 }, (_, n) => n + 3)]);
});

test('a dead connection is noticed and said', async ({ gateway, arrive }) => {
  test.slow();
  const session = gateway.session('Dead');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.isLive();
  gateway.faults.frozen = true;
  await expect(ana.page.getByText(/reconnecting/).first()).toBeVisible({ timeout: 30_000 });
  gateway.faults.frozen = false;
  await ana.isLive();
});

test('a planned restart is waited for as long as the gateway asks', async ({ gateway, arrive }) => {
  const ana = await arrive('ana');
  gateway.restart(3_000);
  await expect(ana.page.getByText(/reconnecting in [23] s/)).toBeVisible();
  await ana.isLive();
});

test('a restored log is shown anew', async ({ gateway, arrive }) => {
  const session = gateway.session('Restored');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.ask('before the restore');
  await expect(ana.turnEnd(1)).toContainText('Finished');
  gateway.newEpoch();
  await expect(ana.transcript).not.toContainText('before the restore');
  await expect(ana.page.getByText(/restored from a backup/)).toBeVisible();
  await ana.ask('after it');
  await expect(ana.turnEnd(1)).toContainText('Finished');
  await expect(ana.transcript).toContainText('after it');
});

test('without credentials the screen and the draft stay, and signing in goes on from there', async ({ gateway, arrive }) => {
  const session = gateway.session('Revoked');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.ask('look around');
  await expect(ana.turnEnd(1)).toContainText('Finished');
  await ana.composer.fill('not yet sent');
  gateway.revoke('ana');
  await expect(ana.page.getByText('You are signed out:')).toBeVisible();
  await expect(ana.transcript).toContainText('look around');
  await expect(ana.composer).toHaveValue('not yet sent');
  await ana.page.getByLabel('Token').fill('ben-token');
  await ana.page.getByRole('button', { name: 'Sign in' }).click();
  await ana.isLive();
  await expect(ana.composer).toHaveValue('not yet sent');
});

test('a revoked cookie is noticed at the next connection, too', async ({ gateway, arrive }) => {
  const ana = await arrive('ana');
  gateway.tokens.delete('ana-token');
  gateway.breakAll();
  await expect(ana.page.getByText('You are signed out:')).toBeVisible();
});

test('a gateway that is not there is not taken for a missing sign-in', async ({ gateway, served, arrive }) => {
  const ana = await arrive('ana');
  gateway.faults.unreachable = true;
  await ana.page.goto(`${served.url}/?again`);
  await expect(ana.page.getByText(/connecting/).first()).toBeVisible();
  await expect(ana.page.getByLabel('Token')).toHaveCount(0);
  gateway.faults.unreachable = false;
  await ana.isLive();
});

test('close code 1009 stops, with a word', async ({ gateway, arrive }) => {
  const ana = await arrive('ana');
  gateway.closeAll(1009);
  await expect(ana.page.getByRole('button', { name: /stopped/ })).toBeVisible();
});

test('who comes back is told what happened', async ({ gateway, arrive }) => {
  const session = gateway.session('Away');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.ask('first');
  await expect(ana.turnEnd(1)).toContainText('Finished');
  // An hour ago, as far as this browser remembers.
  await ana.page.goto('about:blank');
  session.prompt('[[tools]] [[pace:1]] meanwhile', 'ben', 'k');
  await expect.poll(() => session.turn).toBeNull();
  await ana.page.addInitScript(() => {
    const name = Object.keys(localStorage).find((each) => each.startsWith('breakglass.seen.'));
    if (name === undefined) return;
    const seen = JSON.parse(localStorage.getItem(name)!);
    localStorage.setItem(name, JSON.stringify({ ...seen, at_ms: Date.now() - 3_600_000 }));
  });
  await ana.page.goBack();
  await expect(ana.transcript).toContainText('You were away: 1 h, 8 commands, 1 error');
  await ana.page.getByRole('button', { name: /First unseen/ }).click();
  await expect(ana.transcript.getByText('meanwhile').first()).toBeInViewport();
});
