// The page against the real gateway: BREAKGLASS_BIN=target/debug/breakglass npm run test:browser
import { expect, test } from '@playwright/test';
import { Gateway } from './gateway';
import { Person } from './person';

const gateway = new Gateway();

test.beforeAll(() => gateway.start());
test.afterAll(() => gateway.close());

test('the link signs in and leaves the address bar', async ({ browser }) => {
  const ana = await Person.arrive(browser, gateway.link);
  await ana.isLive();
  expect(ana.page.url()).not.toContain('token');
  await ana.page.reload();
  await ana.isLive();
  expect(ana.complaints).toEqual([]);
  await ana.context.close();
});

test('a wrong token is refused, with a word', async ({ browser }) => {
  const nobody = await Person.arrive(browser, gateway.url);
  await nobody.page.getByLabel('Token').fill('not-a-token');
  await nobody.page.getByRole('button', { name: 'Sign in' }).click();
  await expect(nobody.page.getByRole('alert')).toContainText('does not know this token');
  await nobody.context.close();
});

test('a turn runs and ends, the same for two people', async ({ browser }) => {
  const ana = await Person.arrive(browser, gateway.link);
  await ana.newSession('Two watch');
  await ana.isLive();
  const ben = await Person.arrive(browser, gateway.link);
  await ben.openSession('Two watch');
  await ana.ask('[[speed:max]] check the disks');
  for (const person of [ana, ben]) {
    await expect(person.transcript).toContainText('check the disks');
    await expect(person.turnEnd(1)).toContainText('Finished');
  }
  expect(await ana.seqs()).toEqual(await ben.seqs());
  await ben.page.reload();
  await expect(ben.turnEnd(1)).toContainText('Finished');
  expect(await ana.seqs()).toEqual(await ben.seqs());
  expect([...ana.complaints, ...ben.complaints]).toEqual([]);
  await ana.context.close();
  await ben.context.close();
});

test('a turn can be stopped', async ({ browser }) => {
  const ana = await Person.arrive(browser, gateway.link);
  await ana.newSession('To be stopped');
  await ana.ask('[[hang]] take your time');
  await ana.stop.click();
  await expect(ana.turnEnd(1)).toContainText('Stopped');
  await expect(ana.transcript).toContainText('Stopped by you');
  await expect(ana.stop).toBeHidden();
  await ana.context.close();
});

test('kill -9 of the gateway in the middle of a turn loses nothing and doubles nothing', async ({ browser }) => {
  const ana = await Person.arrive(browser, gateway.link);
  await ana.newSession('Survives');
  await ana.ask('[[text:before]] [[wait:4000]] [[text:afterwards]]');
  await expect(ana.stop).toBeVisible();
  await gateway.kill();
  await expect(ana.page.getByText(/reconnecting|offline/)).toBeVisible({ timeout: 30_000 });
  await gateway.start();
  await ana.isLive();
  await expect(ana.turnEnd(1)).toContainText('Finished', { timeout: 60_000 });
  const live = await ana.seqs();
  await ana.page.reload();
  await expect(ana.turnEnd(1)).toContainText('Finished');
  expect(await ana.seqs()).toEqual(live);
  await expect(ana.transcript.getByText('afterwards', { exact: true })).toHaveCount(1);
  expect(await ana.transcript.locator('.row.prompt').count()).toBe(1);
  await ana.context.close();
});
