// How far the reader has read each session, kept in the browser: for unread dots and "you were away".
import { isObject } from '../wire/parse';
import type { SessionState } from '../wire/types';
import type { LeftAt } from '../session/away';
import type { Store } from '../socket/outbox';
import { setQuietly } from './storage';

const PREFIX = 'breakglass.seen.';
const SINCE = 'breakglass.since';
/** As many sessions are remembered; the longest unread are forgotten first. */
const REMEMBERED_MAX = 500;

export class Seen {
  /** When this browser first met the gateway: what is older is not news. */
  readonly since_ms: number;

  constructor(
    private readonly store: Store,
    now_ms: number,
  ) {
    const since = Number(store.getItem(SINCE));
    this.since_ms = since > 0 ? since : now_ms;
    if (since <= 0 || Number.isNaN(since)) setQuietly(store, SINCE, String(now_ms));
    this.#prune();
  }

  get(session: string, epoch: string): LeftAt | null {
    const entry = this.#read(PREFIX + session);
    return entry?.epoch === epoch ? { seq: entry.seq, at_ms: entry.at_ms } : null;
  }

  set(session: string, epoch: string, left: LeftAt): void {
    setQuietly(this.store, PREFIX + session, JSON.stringify({ epoch, ...left }));
  }

  isUnread(state: SessionState, epoch: string): boolean {
    if (state.head === 0) return false;
    const left = this.get(state.session, epoch);
    if (left !== null) return state.head > left.seq;
    return Date.parse(state.last_activity) > this.since_ms;
  }

  #read(name: string): ({ epoch: string } & LeftAt) | null {
    try {
      const value: unknown = JSON.parse(this.store.getItem(name) ?? 'null');
      if (!isObject(value) || typeof value['seq'] !== 'number' || typeof value['at_ms'] !== 'number') return null;
      return { epoch: String(value['epoch']), seq: value['seq'], at_ms: value['at_ms'] };
    } catch {
      return null;
    }
  }

  #prune(): void {
    const names: string[] = [];
    for (let index = 0; index < this.store.length; index++) {
      const name = this.store.key(index);
      if (name?.startsWith(PREFIX) === true) names.push(name);
    }
    if (names.length <= REMEMBERED_MAX) return;
    const byAge = names.map((name) => ({ name, at_ms: this.#read(name)?.at_ms ?? 0 })).sort((a, b) => a.at_ms - b.at_ms);
    for (const { name } of byAge.slice(0, names.length - REMEMBERED_MAX)) this.store.removeItem(name);
  }
}
