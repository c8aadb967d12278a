// A fake gateway for each test, and people who are signed in to it.
import { test as base } from '@playwright/test';
import { Person } from '../browser/person';
import type { FakeGateway } from '../fake/gateway';
import { serveFake } from '../fake/serve';

interface Fixtures {
  served: { gateway: FakeGateway; url: string };
  gateway: FakeGateway;
  /** Somebody of the fake gateway (ana, ben: operators; aud: auditor; vic: viewer), at `hash`. */
  arrive(name: string, hash?: string): Promise<Person>;
}

export const test = base.extend<Fixtures>({
  served: async ({}, use) => {
    const served = await serveFake();
    await use(served);
    await served.close();
  },
  gateway: ({ served }, use) => use(served.gateway),
  arrive: async ({ browser, served }, use) => {
    const people: Person[] = [];
    await use(async (name, hash) => {
      const person = await Person.arrive(browser, `${served.url}/#token=${name}-token`);
      people.push(person);
      await person.isLive();
      if (hash !== undefined) await person.page.goto(`${served.url}/${hash}`);
      return person;
    });
    for (const person of people) await person.context.close();
  },
});

export { expect } from '@playwright/test';
