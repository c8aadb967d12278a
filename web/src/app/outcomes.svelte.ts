// How each session's last turn ended. The list of sessions does not say it, so the last event of the newest ones is
// looked up, once for each head, few at a time.
import { eventsBefore } from './api';
import type { SessionState } from '../wire/types';

export type LastOutcome = 'idle' | 'failed';

/** So many of the newest sessions are looked up. */
const LOOKED_UP_MAX = 40;
/** At the same time. */
const AT_ONCE = 2;

export class Outcomes {
  #known: ReadonlyMap<string, { head: number; outcome: LastOutcome }> = $state.raw(new Map());
  #asked = new Set<string>();
  #wanted: SessionState[] = [];
  #active = 0;

  of(state: SessionState): LastOutcome {
    return this.#known.get(state.session)?.outcome ?? 'idle';
  }

  /** Learns what is not known yet of the first of `states`. */
  look(states: readonly SessionState[], epoch: string): void {
    this.#wanted = states.slice(0, LOOKED_UP_MAX).filter((state) => this.#isNews(state));
    while (this.#active < AT_ONCE && this.#wanted.length > 0) void this.#next(epoch);
  }

  #isNews(state: SessionState): boolean {
    if (state.turn || state.head === 0) return false;
    return this.#known.get(state.session)?.head !== state.head && !this.#asked.has(`${state.session} ${state.head}`);
  }

  async #next(epoch: string): Promise<void> {
    const state = this.#wanted.shift();
    if (state === undefined) return;
    this.#asked.add(`${state.session} ${state.head}`);
    this.#active += 1;
    try {
      const [last] = await eventsBefore(state.session, state.head + 1, 1, epoch);
      this.#learn(state, last?.kind === 'turn_end' && last.outcome !== 'ok' && last.outcome !== 'cancelled');
    } catch {
      // Not worth a word: the mark stays at what is known.
    } finally {
      this.#active -= 1;
      if (this.#wanted.length > 0) void this.#next(epoch);
    }
  }

  #learn(state: SessionState, failed: boolean): void {
    this.#known = new Map(this.#known).set(state.session, { head: state.head, outcome: failed ? 'failed' : 'idle' });
  }
}
