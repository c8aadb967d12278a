// The search across sessions: what was asked and what came of it. Only the answer to the newest question is ever shown.
// It asks `ask` and knows neither the connection nor the screen.
import { ApiError, type SearchPage } from './api';
import type { Hit } from '../wire/types';
import { isBlank, NO_CRITERIA, type Criteria } from './criteria';

/** People type a letter each 100 to 200 ms; asked once they pause. */
const PAUSE_MS = 250;

export type Ask = (criteria: Criteria, cursor: string | null, signal: AbortSignal) => Promise<SearchPage>;

export class Search {
  criteria: Criteria = $state.raw(NO_CRITERIA);
  /** What `hits` are the answer to. */
  answered: Criteria = $state.raw(NO_CRITERIA);
  hits: Hit[] = $state.raw([]);
  next: string | null = $state(null);
  /** So many records are not searched yet. */
  behind = $state(0);
  asking: 'nothing' | 'first' | 'more' = $state('nothing');
  problem: ApiError | null = $state.raw(null);
  /** The hit that was opened last, to come back to. */
  opened: string | null = $state(null);

  #asked: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly ask: Ask,
    private readonly signedOut: () => void,
  ) {}

  /** Asks for `criteria` at once, unless their answer is on the screen. */
  show(criteria: Criteria): void {
    if (JSON.stringify(criteria) === JSON.stringify(this.criteria) && this.problem === null) return;
    this.criteria = criteria;
    void this.again();
  }

  /** Takes what is being typed, and asks when the typing pauses. */
  type(criteria: Criteria): void {
    this.criteria = criteria;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.again(), PAUSE_MS);
  }

  again(): Promise<void> {
    return this.#run('first');
  }

  async more(): Promise<void> {
    // Not in the middle of typing: the cursor belongs to what was answered.
    if (this.next !== null && this.asking === 'nothing' && this.criteria === this.answered) await this.#run('more');
  }

  async #run(asking: 'first' | 'more'): Promise<void> {
    clearTimeout(this.#timer);
    this.#asked?.abort();
    const mine = new AbortController();
    this.#asked = mine;
    this.problem = null;
    const { criteria } = this;
    if (isBlank(criteria)) return this.#took(criteria, [], { hits: [], next: null, behind: 0 });
    this.asking = asking;
    try {
      const page = await this.ask(criteria, asking === 'more' ? this.next : null, mine.signal);
      if (this.#asked === mine) this.#took(criteria, asking === 'more' ? this.hits : [], page);
    } catch (error) {
      if (this.#asked !== mine) return;
      this.asking = 'nothing';
      if (error instanceof ApiError && error.status === 401) this.signedOut();
      this.problem = error instanceof ApiError ? error : new ApiError(0, 'unknown', String(error));
    }
  }

  #took(criteria: Criteria, before: readonly Hit[], page: SearchPage): void {
    const known = new Set(before.map(keyOfHit));
    if (before.length === 0) this.opened = null;
    this.hits = [...before, ...page.hits.filter((hit) => !known.has(keyOfHit(hit)))];
    this.next = page.next;
    this.behind = page.behind;
    this.answered = criteria;
    this.asking = 'nothing';
  }
}

export function keyOfHit(hit: Hit): string {
  return `${hit.session}/${hit.seq}`;
}
