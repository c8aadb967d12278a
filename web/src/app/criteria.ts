// What somebody searches for: in the page's address (so that a search can be sent to a colleague), and as the gateway's
// `GET /api/search` is asked. Pure.
import { isUuid } from '../wire/ids';

/** What kinds of events count, by the words that people use for them. */
export const WHATS = {
  all: { label: 'Everything', query: {} },
  prompts: { label: 'Prompts', query: { kind: 'user' } },
  failed: { label: 'Prompts whose turn failed', query: { kind: 'user', outcome: 'error,timeout,lost' } },
  prose: { label: 'The agent’s words', query: { kind: 'text,result' } },
  commands: { label: 'Commands', query: { kind: 'tool' } },
  outputs: { label: 'Output of commands', query: { kind: 'tool_result' } },
  errors: { label: 'Errors', query: { kind: 'error' } },
  stops: { label: 'Who stopped a turn', query: { kind: 'cancelled' } },
} as const satisfies { [what: string]: { label: string; query: { kind?: string; outcome?: string } } };

export type What = keyof typeof WHATS;

export interface Criteria {
  readonly words: string;
  readonly what: What;
  /** The author's name; empty: anybody. */
  readonly by: string;
  /** Days of the reader's own calendar, `YYYY-MM-DD`, both within; empty: no bound. */
  readonly from: string;
  readonly to: string;
  /** Only in this session. */
  readonly session: string | null;
}

export const NO_CRITERIA: Criteria = { words: '', what: 'all', by: '', from: '', to: '', session: null };

export function isBlank(criteria: Criteria): boolean {
  return criteria.words.trim() === '' && filters(criteria) === 0;
}

/** How many filters are set besides the words. */
export function filters({ what, by, from, to, session }: Criteria): number {
  return [what !== 'all', by.trim() !== '', from !== '', to !== '', session !== null].filter(Boolean).length;
}

export function searchHash(criteria: Criteria): string {
  const { words, what, by, from, to, session } = criteria;
  const query = new URLSearchParams();
  const parts = { q: words.trim(), what: what === 'all' ? '' : what, by: by.trim(), from, to, session: session ?? '' };
  for (const [name, value] of Object.entries(parts)) if (value !== '') query.set(name, value);
  return query.size === 0 ? '#search' : `#search?${query}`;
}

/** The search in the query of an address; what is none of the page's own words is left out. */
export function parseCriteria(query: string): Criteria {
  const values = new URLSearchParams(query);
  const what = values.get('what') ?? 'all';
  const session = values.get('session');
  return {
    words: values.get('q') ?? '',
    what: Object.hasOwn(WHATS, what) ? (what as What) : 'all',
    by: values.get('by') ?? '',
    from: day(values.get('from')),
    to: day(values.get('to')),
    session: session !== null && isUuid(session) ? session : null,
  };
}

/** The query for the gateway, which knows moments and not days. */
export function searchQuery({ words, what, by, from, to, session }: Criteria): URLSearchParams {
  const query = new URLSearchParams(WHATS[what].query);
  if (words.trim() !== '') query.set('q', words.trim());
  if (by.trim() !== '') query.set('by', by.trim());
  if (from !== '') query.set('from', new Date(`${from}T00:00:00.000`).toISOString());
  if (to !== '') query.set('to', new Date(`${to}T23:59:59.999`).toISOString());
  if (session !== null) query.set('session', session);
  return query;
}

function day(text: string | null): string {
  return text !== null && /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(`${text}T00:00:00.000`)) ? text : '';
}
