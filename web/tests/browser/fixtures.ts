// The real gateway, one for each worker, and people who are signed in to it. Whatever a test does, in the end the page must
// have broken no rule of its own CSP, thrown nothing, and asked no other host for anything.
import { test as base } from '@playwright/test';
import type { Role } from '../../src/wire/types';
import { Gateway } from './gateway';
import { Person } from './person';

const ROLES: { [name: string]: Role } = { aud: 'auditor', vic: 'viewer' };

interface Fixtures {
  /** Somebody (aud: an auditor, vic: a viewer, others: operators) signed in at `at`, or at the shared gateway. */
  arrive(name: string, at?: Gateway): Promise<Person>;
}

export const test = base.extend<Fixtures, { gateway: Gateway }>({
  gateway: [
    async ({}, use) => {
      const gateway = new Gateway();
      await gateway.start();
      await use(gateway);
      await gateway.close();
    },
    { scope: 'worker' },
  ],
  arrive: async ({ browser, gateway }, use) => {
    const people: Person[] = [];
    await use(async (name, at = gateway) => {
      const person = await Person.arrive(browser, at.invite(name, ROLES[name] ?? 'operator'));
      people.push(person);
      await person.isLive();
      return person;
    });
    for (const person of people) {
      await person.context.close();
      expect(person.complaints).toEqual([]);
      expect(person.elsewhere).toEqual([]);
    }
  },
});

const { expect } = test;
export { expect };
