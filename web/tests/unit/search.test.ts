import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SearchPage } from '../../src/app/api';
import type { Hit } from '../../src/wire/types';
import { isBlank, NO_CRITERIA, parseCriteria, searchHash, searchQuery, WHATS, type Criteria, type What } from '../../src/app/criteria';
import { parseRoute } from '../../src/app/route';
import { Search } from '../../src/app/search.svelte';
import { SESSION } from './events';

const day = fc.oneof(fc.constant(''), fc.date({ min: new Date('2000-01-01'), max: new Date('2099-12-31'), noInvalidDate: true }).map((date) => date.toISOString().slice(0, 10)));
const anyCriteria: fc.Arbitrary<Criteria> = fc.record({
  words: fc.string({ unit: 'grapheme' }).map((text) => text.trim()),
  what: fc.constantFrom(...(Object.keys(WHATS) as What[])),
  by: fc.string().map((text) => text.trim()),
  from: day,
  to: day,
  session: fc.constantFrom(null, SESSION),
});

describe('what is searched for', () => {
  it('survives the address bar, whatever it is', () => {
    fc.assert(
      fc.property(anyCriteria, (criteria) => {
        expect(parseRoute(searchHash(criteria))).toEqual({ to: 'search', criteria });
      }),
    );
  });

  it('is taken from any address without an error, and only what the page knows', () => {
    fc.assert(
      fc.property(fc.string(), (query) => {
        expect(() => searchQuery(parseCriteria(query))).not.toThrow();
      }),
    );
    expect(parseCriteria('what=toString&from=tomorrow&to=2026-13-01&session=../../x')).toEqual(NO_CRITERIA);
  });

  it('goes to the gateway in its words: whole days, in the reader’s time', () => {
    const query = searchQuery({ ...NO_CRITERIA, words: ' disk full ', what: 'prose', by: 'ana', from: '2026-11-20', to: '2026-11-20', session: SESSION });
    expect(query.get('q')).toBe('disk full');
    expect(query.get('kind')).toBe('text,result');
    expect(Date.parse(query.get('to')!) - Date.parse(query.get('from')!)).toBe(86_400_000 - 1);
    expect(isBlank({ ...NO_CRITERIA, words: '  ' })).toBe(true);
    expect(isBlank({ ...NO_CRITERIA, by: 'ana' })).toBe(false);
  });
});

const hit = (seq: number): Hit => ({ session: SESSION, title: 't', seq, time: '', kind: 'text', by: '', snippet: [] });

describe('the search', () => {
  it('shows only the answer to the newest question, whatever the order of answers', async () => {
    const answers: ((page: SearchPage) => void)[] = [];
    const search = new Search(() => new Promise((resolve) => answers.push(resolve)), () => undefined);
    search.show({ ...NO_CRITERIA, words: 'a' });
    search.show({ ...NO_CRITERIA, words: 'b' });
    answers[1]!({ hits: [hit(2)], next: null, behind: 0 });
    answers[0]!({ hits: [hit(1)], next: 'n', behind: 0 });
    await expect.poll(() => search.hits.map(({ seq }) => seq)).toEqual([2]);
    expect(search.answered.words).toBe('b');
    expect(search.next).toBeNull();
  });

  it('goes on by the cursor, with nothing twice', async () => {
    const cursors: (string | null)[] = [];
    const search = new Search(
      (_, cursor) => {
        cursors.push(cursor);
        return Promise.resolve(cursor === null ? { hits: [hit(3), hit(2)], next: 'n', behind: 0 } : { hits: [hit(2), hit(1)], next: null, behind: 0 });
      },
      () => undefined,
    );
    search.show({ ...NO_CRITERIA, words: 'a' });
    await expect.poll(() => search.next).toBe('n');
    await search.more();
    await search.more();
    expect(cursors).toEqual([null, 'n']);
    expect(search.hits.map(({ seq }) => seq)).toEqual([3, 2, 1]);
  });
});
