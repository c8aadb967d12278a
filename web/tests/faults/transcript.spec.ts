import { expect, test } from './fixtures';
import type { FakeGateway } from '../fake/gateway';

/** A session with a long past, in which nothing runs. */
function longSession(gateway: FakeGateway, turns: number, events: number) {
  const session = gateway.session('Long');
  for (let turn = 1; turn <= turns; turn++) {
    session.add(`t${turn}`, { kind: 'user', text: `Prompt ${turn}`, by: 'ben', model: 'm' });
    for (let n = 1; n <= events; n++) session.add(`t${turn}`, { kind: 'text', text: `Turn ${turn}, text ${n}.` });
    session.add(`t${turn}`, { kind: 'turn_end', outcome: 'ok', exit_code: 0, duration_ms: 1_000 });
  }
  return session;
}

test('opens at the newest and pages back to the first', async ({ gateway, arrive }) => {
  const session = longSession(gateway, 20, 48);
  const ana = await arrive('ana', `#/${session.session}`);
  await expect(ana.transcript.getByText('Turn 20, text 48.')).toBeInViewport();
  expect((await ana.seqs()).length).toBeLessThanOrEqual(240);
  await ana.transcript.hover();
  await expect(async () => {
    await ana.page.mouse.wheel(0, -4_000);
    await expect(ana.transcript.getByText('Prompt 1', { exact: true })).toBeInViewport({ timeout: 200 });
  }).toPass({ timeout: 40_000 });
  const seqs = await ana.seqs();
  expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  expect(seqs.length).toBeLessThanOrEqual(240);
  await ana.page.getByRole('button', { name: /To the end/ }).click();
  await expect(ana.transcript.getByText('Turn 20, text 48.')).toBeInViewport();
});

test('keeps the place of a reader while pages and events arrive', async ({ gateway, arrive }) => {
  const session = longSession(gateway, 10, 48);
  const ana = await arrive('ana', `#/${session.session}`);
  await expect(ana.transcript.getByText('Turn 10, text 48.')).toBeInViewport();
  const line = ana.transcript.getByText('Turn 8, text 40.', { exact: true });
  await ana.transcript.hover();
  await expect(async () => {
    await ana.page.mouse.wheel(0, -500);
    await expect(line).toBeInViewport({ timeout: 100 });
  }).toPass({ timeout: 20_000 });
  await ana.page.waitForTimeout(500);
  const before = await line.boundingBox();
  session.prompt('[[events:40]] [[pace:5]]', 'ben', 'k');
  await expect(ana.page.getByRole('button', { name: /4[0-9] new/ })).toBeVisible();
  const after = await line.boundingBox();
  expect(Math.abs(after!.y - before!.y)).toBeLessThan(2);
  await ana.page.getByRole('button', { name: /new/ }).last().click();
  await expect(ana.transcript.getByText('Event 40 of 40.')).toBeInViewport();
});

test('follows the newest while the reader is at the end', async ({ gateway, arrive }) => {
  const session = gateway.session('Follow');
  const ana = await arrive('ana', `#/${session.session}`);
  await ana.ask('[[events:600]] [[pace:1]]');
  await expect(ana.turnEnd(1)).toBeInViewport({ timeout: 30_000 });
  expect((await ana.seqs()).length).toBeLessThanOrEqual(240);
});

test('a composer that grows does not push away who is at the end', async ({ gateway, arrive }) => {
  const session = longSession(gateway, 3, 48);
  const ana = await arrive('ana', `#/${session.session}`);
  await expect(ana.transcript.getByText('Turn 3, text 48.')).toBeInViewport();
  // A scroll event from before arrives when the list has shrunk and before the page could go to the end again.
  await ana.transcript.evaluate((scroller) => {
    document.querySelector<HTMLElement>('.composer')!.style.paddingTop = '120px';
    scroller.dispatchEvent(new Event('scroll'));
  });
  await expect(ana.transcript.getByText('Turn 3, text 48.')).toBeInViewport();
  await expect(ana.page.getByRole('button', { name: /To the end/ })).toHaveCount(0);
});

test('a link opens at its event, however old it is', async ({ gateway, arrive }) => {
  const session = longSession(gateway, 30, 98);
  const aud = await arrive('aud', `#/${session.session}/150`);
  await expect(aud.transcript.getByText('Turn 2, text 49.', { exact: true })).toBeInViewport();
  await aud.page.goto(aud.page.url().replace('/150', '/2999'));
  await expect(aud.transcript.getByText('Turn 30, text 98.', { exact: true })).toBeInViewport();
  await aud.page.goto(aud.page.url().replace('/2999', '/999999'));
  await expect(aud.page.getByText('Event 999999 is not in the log')).toBeVisible();
});

test('a link waits for its event while the log is still coming', async ({ gateway, arrive }) => {
  const session = longSession(gateway, 1, 98);
  gateway.faults.replayUntil = 10;
  const aud = await arrive('aud', `#/${session.session}/50`);
  await expect(aud.transcript.locator('[data-seq="10"]')).toBeVisible();
  gateway.replayRest();
  await expect(aud.transcript.locator('.row.marked')).toContainText('Turn 1, text 49.');
  await expect(aud.page.getByText('is not in the log')).toHaveCount(0);
});

test('what somebody looked for does not stay behind a fold', async ({ gateway, arrive }) => {
  const session = gateway.session('Folded');
  session.add('t1', { kind: 'user', text: 'look', by: 'ben', model: 'm' });
  session.add('t1', { kind: 'tool', name: 'Bash', input: { command: 'dmesg' }, ref: 'r' });
  const output = ['the needle', ...Array.from({ length: 40 }, (_, n) => `line ${n}`)].join('\n');
  session.add('t1', { kind: 'tool_result', is_error: false, output, bytes: output.length, ref: 'r' });
  const ana = await arrive('ana', `#/${session.session}`);
  await expect(ana.transcript).toContainText('line 39');
  await expect(ana.transcript).not.toContainText('the needle');
  await ana.page.evaluate((hash) => (location.hash = hash), `#/${session.session}/3`);
  await expect(ana.transcript.getByText('the needle')).toBeInViewport();
  await ana.page.getByRole('button', { name: 'Show less' }).click();
  await expect(ana.transcript).not.toContainText('the needle');
});

/** A session in which an agent said a password: in its words, in a tool's output, and in the prompt. */
function leaky(gateway: FakeGateway) {
  const session = gateway.session('Leaky');
  session.add('t1', { kind: 'user', text: 'try hunter2-a', by: 'ben', model: 'm' });
  session.add('t1', { kind: 'tool', name: 'Bash', input: { command: 'cat /etc/secret' }, ref: 'r' });
  session.add('t1', { kind: 'tool_result', is_error: false, output: 'hunter2-b', bytes: 9, ref: 'r' });
  session.add('t1', { kind: 'text', text: 'It is hunter2-c.' });
  session.add('t1', { kind: 'turn_end', outcome: 'ok', exit_code: 0, duration_ms: 1_000 });
  return session;
}

test('what is redacted gives way to its stub at once', async ({ gateway, arrive }) => {
  const session = leaky(gateway);
  const ana = await arrive('ana', `#/${session.session}`);
  await expect(ana.transcript).toContainText('It is hunter2-c.');
  for (const seq of [1, 3, 4]) session.redact(seq, 'root', `reason ${seq}`);
  await expect(ana.transcript).not.toContainText('hunter2');
  await expect(ana.transcript.getByText('[redacted]')).toHaveCount(3);
  await expect(ana.transcript).toContainText('root took away for good what event #3 said: reason 3');
  await expect(ana.tool('Bash: ok')).toContainText('cat /etc/secret');
  expect(await ana.seqs()).toEqual([1, 2, 4, 5, 6, 7, 8]);
});

test('what was redacted while somebody was away, or could not be asked for, gives way when they are back', async ({ gateway, arrive }) => {
  const session = leaky(gateway);
  const ana = await arrive('ana', `#/${session.session}`);
  await expect(ana.transcript).toContainText('It is hunter2-c.');
  gateway.faults.unreachable = true;
  gateway.breakAll();
  session.redact(4, 'root', 'while away');
  gateway.faults.unreachable = false;
  await expect(ana.transcript).toContainText('while away', { timeout: 30_000 });
  await expect(ana.transcript).not.toContainText('hunter2-c');

  // The socket brings the event, and the request for the stub fails.
  let asked = 0;
  await ana.page.route('**/events?**', (route) => {
    asked += 1;
    return route.abort();
  });
  session.redact(3, 'root', 'not now');
  await expect(ana.transcript).toContainText('not now');
  await expect.poll(() => asked).toBeGreaterThan(0);
  await expect(ana.transcript).toContainText('hunter2-b');
  await ana.page.unroute('**/events?**');
  session.redact(1, 'root', 'now');
  await expect(ana.transcript).toContainText('event #1 said: now');
  await expect(ana.transcript).not.toContainText('hunter2');
});

test('a page that was read before something in it was redacted does not bring it back', async ({ gateway, arrive }) => {
  const session = longSession(gateway, 10, 48);
  const ana = await arrive('ana');
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  let reading = false;
  await ana.page.route('**/events?**', async (route) => {
    if (reading) return route.continue();
    reading = true;
    const page = await route.fetch();
    await held;
    await route.fulfill({ response: page });
  });
  await ana.page.evaluate((hash) => (location.hash = hash), `#/${session.session}/299`);
  await expect.poll(() => reading).toBe(true);
  // The page that is on its way has it as it was.
  session.redact(299, 'root', 'meanwhile');
  release();
  await expect(ana.transcript.locator('.row.marked')).toContainText('[redacted]');
  await expect(ana.transcript.getByText('Turn 6, text 48.', { exact: true })).toHaveCount(0);
});

test('a tool that somebody stopped is interrupted, not failed', async ({ gateway, arrive }) => {
  const session = gateway.session('Stopped');
  session.add('t1', { kind: 'user', text: 'look', by: 'ben', model: 'm' });
  session.add('t1', { kind: 'tool', name: 'Bash', input: { command: 'du /' }, ref: 'r' });
  session.add('t1', { kind: 'cancelled', by: 'ben' });
  session.add('t1', { kind: 'tool_result', is_error: true, output: 'The tool use was rejected.', bytes: 26, ref: 'r' });
  const ana = await arrive('ana', `#/${session.session}`);
  await expect(ana.tool('Bash: interrupted')).toContainText('rejected');
});

test('keys: turns, find, help, sessions', async ({ gateway, arrive }) => {
  const session = longSession(gateway, 6, 20);
  const ana = await arrive('ana', `#/${session.session}`);
  await expect(ana.transcript.getByText('Turn 6, text 20.')).toBeInViewport();
  await ana.page.keyboard.press('k');
  await expect(ana.transcript.getByText('Prompt 6', { exact: true })).toBeInViewport();
  await ana.page.keyboard.press('k');
  await expect(ana.transcript.getByText('Prompt 5', { exact: true })).toBeInViewport();
  await ana.page.keyboard.press('j');
  await expect(ana.transcript.getByText('Prompt 6', { exact: true })).toBeInViewport();
  await ana.page.keyboard.press('/');
  await ana.page.keyboard.type('turn 2, text 7.');
  await ana.page.keyboard.press('Enter');
  await expect(ana.transcript.getByText('Turn 2, text 7.', { exact: true })).toBeInViewport();
  await ana.page.keyboard.press('Escape');
  await expect(ana.page.getByRole('searchbox', { name: 'Find in this session' })).toHaveCount(0);
  await ana.page.keyboard.press('?');
  await expect(ana.page.getByRole('dialog', { name: 'Keys' })).toBeVisible();
  await ana.page.keyboard.press('Escape');
  await expect(ana.page.getByRole('dialog', { name: 'Keys' })).toHaveCount(0);
  await ana.page.keyboard.press('Control+k');
  await expect(ana.page.getByRole('searchbox', { name: 'Search sessions' })).toBeFocused();
});

test('tools read well', async ({ gateway, arrive }) => {
  const session = gateway.session('Tools');
  session.prompt('[[tools]] [[pace:1]]', 'ben', 'k');
  await expect.poll(() => session.turn).toBeNull();
  const ana = await arrive('ana', `#/${session.session}`);
  await expect(ana.turnEnd(1)).toBeInViewport();
  const card = (name: string) => ana.transcript.getByRole('article', { name });
  await expect(card('Edit: ok')).toContainText('SystemMaxUse=1G');
  await expect(card('TodoWrite: ok')).toContainText('1 of 3 done');
  await expect(card('Grep: ok')).not.toContainText('main.log:1:');
  await card('Grep: ok').getByRole('button', { name: /Show all/ }).click();
  await expect(card('Grep: ok')).toContainText('main.log:1:');
  await expect(card('Bash: failed')).toContainText('Job for postgresql.service failed');
  await card('mcp__pager__notify: ok').getByRole('button', { name: 'JSON' }).click();
  await expect(card('mcp__pager__notify: ok')).toContainText('"kind": "tool_result"');
  await expect(card('Bash: ok').first().locator('.ansi-red')).toHaveText('100%');
});

test('hostile words stay words', async ({ gateway, served, arrive }) => {
  const session = gateway.session('<img src=x onerror=alert(1)>');
  session.prompt('[[hostile]] [[pace:1]]', '<b>ben</b>', 'k');
  await expect.poll(() => session.turn).toBeNull();
  const ana = await arrive('ana');
  const elsewhere: string[] = [];
  ana.page.on('request', (request) => {
    if (!request.url().startsWith(served.url) && !request.url().startsWith('data:')) elsewhere.push(request.url());
  });
  await ana.page.goto(`${served.url}/#/${session.session}`);
  await expect(ana.turnEnd(1)).toBeInViewport();
  await expect(ana.transcript).toContainText('<script>window.pwned=1</script>');
  await expect(ana.transcript).toContainText('⟨U+202E⟩txt.exe');
  await ana.transcript.getByRole('button', { name: /Show all/ }).click();
  await expect(ana.transcript).toContainText('<b>not html</b>');
  expect(await ana.page.evaluate(() => (window as { pwned?: unknown }).pwned)).toBeUndefined();
  expect(await ana.transcript.locator('script, img, iframe, svg[onload], a[href^="javascript"]').count()).toBe(0);
  const overflow = await ana.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(overflow).toBe(0);
  expect(elsewhere).toEqual([]);
  expect(ana.complaints).toEqual([]);
});
