// The gateway and the network go away in the middle of a turn. The page says so, carries on by itself, and nothing is
// missing or doubled.
import { expect, test } from './fixtures';
import { Gateway } from './gateway';
import { Network } from './network';

/** As long as the network is away: it is the case to be tested, nothing is waited for. */
const CUT_MS = 20_000;

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `#${index + 1} `.trim());

test('the gateway is killed and started again in mid-turn', async ({ arrive }) => {
  const gateway = new Gateway();
  await gateway.start();
  const ana = await arrive('ana', gateway);
  await ana.newSession('Survives');
  await ana.ask('[[events:80 rate:16]]');
  await expect(ana.transcript.getByText('#8', { exact: true })).toBeAttached();
  await gateway.kill();
  await expect(ana.page.getByText(/^(reconnecting|offline)/)).toBeVisible();
  await expect(ana.page.getByText('live', { exact: true })).toHaveCount(0);
  await expect(ana.page).toHaveTitle(/no connection/);
  // Written while nobody can take it; it waits for the turn that ran when the line was lost.
  await ana.composer.fill('[[text:written in the dark]]');
  await ana.page.getByRole('button', { name: 'Send when it ends' }).click();
  await expect(ana.transcript).toContainText('waits for the connection');
  await gateway.start();
  await ana.isLive();
  await expect(ana.turnEnd(2)).toContainText('Finished', { timeout: 30_000 });
  expect(await ana.words('prose')).toEqual([...numbered(80), 'written in the dark']);
  await expect(ana.transcript.locator('.row.prompt')).toHaveCount(2);
  await expect(ana.transcript.locator('.pending')).toHaveCount(0);
  const live = await ana.seqs();
  expect(live).toEqual([...new Set(live)].sort((a, b) => a - b));
  await ana.page.reload();
  await expect(ana.turnEnd(2)).toContainText('Finished');
  expect(await ana.seqs()).toEqual(live);
  await gateway.close();
});

test('a planned restart is waited for as the gateway asks', async ({ arrive }) => {
  const gateway = new Gateway();
  await gateway.start();
  const ana = await arrive('ana', gateway);
  await ana.newSession('Planned');
  await ana.ask('[[text:before]] [[wait:3000]] [[text:after]]');
  await expect(ana.transcript.getByText('before', { exact: true })).toBeVisible();
  await gateway.kill('SIGTERM');
  await expect(ana.page.getByText(/^reconnecting/)).toBeVisible();
  await gateway.start();
  await ana.isLive();
  await expect(ana.turnEnd(1)).toContainText('Finished');
  expect(await ana.words('prose')).toEqual(['before', 'after']);
  await gateway.close();
});

test('the network is cut for 20 s in mid-turn', async ({ arrive }) => {
  const network = await Network.open();
  const gateway = new Gateway({ BREAKGLASS_PUBLIC_URL: network.url });
  await gateway.start();
  network.leadsTo(gateway.listens);
  const ana = await arrive('ana', gateway);
  await ana.newSession('Tunnel');
  await ana.ask('[[events:60 rate:4]]');
  await expect(ana.transcript.getByText('#3', { exact: true })).toBeAttached();
  network.cut();
  const back = new Promise((resolve) => setTimeout(resolve, CUT_MS));
  await ana.context.setOffline(true);
  await expect(ana.page.getByText('offline', { exact: true })).toBeVisible();
  await expect(ana.page.getByText(/No connection. When last seen: your turn ran/)).toBeVisible();
  await ana.composer.fill('[[text:sent from the tunnel]]');
  await ana.page.getByRole('button', { name: 'Send when it ends' }).click();
  await expect(ana.transcript).toContainText('waits for the connection');
  await back;
  await expect(ana.page.getByText('live', { exact: true })).toHaveCount(0);
  network.mend();
  await ana.context.setOffline(false);
  await ana.isLive();
  await expect(ana.turnEnd(2)).toContainText('Finished', { timeout: 30_000 });
  expect(await ana.words('prose')).toEqual([...numbered(60), 'sent from the tunnel']);
  await expect(ana.transcript.locator('.row.prompt')).toHaveCount(2);
  await expect(ana.transcript.locator('.pending')).toHaveCount(0);
  await ana.context.close();
  await gateway.close();
  await network.close();
});
