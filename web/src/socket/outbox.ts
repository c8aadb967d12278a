// Prompts on their way to the log. Each keeps its text and its key in the browser's storage from the moment it is
// written until the gateway has accepted it, so that a lost connection or a reload neither loses nor doubles it. Each
// lies under its own storage name: tabs share the storage and must not overwrite each other's.
import type { ErrorBody } from '../wire/types';

/** A prompt that nobody sent for this long asks again before it runs: the outage may have moved on. */
export const FRESH_MS = 10 * 60_000;
/** What the gateway asks us to wait when it does not say how long. */
const RETRY_MS = 5_000;

export type PendingState =
  /** Goes out as soon as there is a connection. */
  | { is: 'ready'; not_before_ms: number }
  /** Went out on this connection; no answer yet. */
  | { is: 'sent' }
  /** Goes out when the turn that runs has ended. */
  | { is: 'after_turn' }
  /** Somebody else's turn was faster. The writer decides. */
  | { is: 'busy'; by: string; since: string }
  /** The gateway said no. The writer decides. */
  | { is: 'refused'; code: string; message: string }
  /** Too old, or the log was restored since: it might be wrong to run it now. The writer decides. */
  | { is: 'held'; why: 'old' | 'restored' }
  /** In the log as event `seq`; it disappears when that is on the screen. */
  | { is: 'accepted'; seq: number };

export interface Pending {
  readonly key: string;
  readonly session: string;
  readonly text: string;
  /** Who wrote it: another user of this browser must not send it. */
  readonly by: string;
  readonly at_ms: number;
  /** The epoch in which it was first sent; null when it never was. */
  readonly sent_epoch: string | null;
  readonly state: PendingState;
}

export interface Store {
  readonly length: number;
  key(index: number): string | null;
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

const PREFIX = 'breakglass.outbox.';

export function write(text: string, session: string, by: string, key: string, now_ms: number): Pending {
  return { key, session, text, by, at_ms: now_ms, sent_epoch: null, state: { is: 'ready', not_before_ms: 0 } };
}

export function afterTurn(pending: Pending): Pending {
  return { ...pending, state: { is: 'after_turn' } };
}

/** The writer says: send it (again), now. */
export function release(pending: Pending, now_ms: number): Pending {
  return { ...pending, at_ms: now_ms, sent_epoch: null, state: { is: 'ready', not_before_ms: 0 } };
}

/** A new connection: what was sent on the old one and not answered goes out again, under the same key. */
export function reconnected(pending: Pending, epoch: string, now_ms: number): Pending {
  const { is } = pending.state;
  if (is !== 'sent' && is !== 'ready' && is !== 'after_turn') return pending;
  if (pending.sent_epoch !== null && pending.sent_epoch !== epoch) return { ...pending, state: { is: 'held', why: 'restored' } };
  if (now_ms - pending.at_ms > FRESH_MS) return { ...pending, state: { is: 'held', why: 'old' } };
  return is === 'sent' ? { ...pending, state: { is: 'ready', not_before_ms: 0 } } : pending;
}

export function sent(pending: Pending, epoch: string): Pending {
  return { ...pending, sent_epoch: epoch, state: { is: 'sent' } };
}

export function accepted(pending: Pending, seq: number): Pending {
  return { ...pending, state: { is: 'accepted', seq } };
}

export function refused(pending: Pending, error: ErrorBody, now_ms: number): Pending {
  const wait_ms = error.retry_after_ms ?? RETRY_MS;
  switch (error.code) {
    case 'busy':
      return { ...pending, state: { is: 'busy', by: error.by ?? 'somebody', since: error.since ?? '' } };
    case 'rate_limited':
      return { ...pending, state: { is: 'ready', not_before_ms: now_ms + wait_ms } };
    default:
      return { ...pending, state: { is: 'refused', code: error.code, message: error.message } };
  }
}

export function isDue(pending: Pending, name: string, busy: boolean, now_ms: number): boolean {
  if (pending.by !== name) return false;
  if (pending.state.is === 'after_turn') return !busy;
  return pending.state.is === 'ready' && pending.state.not_before_ms <= now_ms;
}

/** What an earlier page left behind. A damaged entry is left alone: it may be another version's. */
export function load(store: Store): Pending[] {
  const found: Pending[] = [];
  for (let index = 0; index < store.length; index++) {
    const name = store.key(index);
    if (name?.startsWith(PREFIX) !== true) continue;
    const pending = parse(store.getItem(name));
    if (pending !== null && name === PREFIX + pending.key) found.push(pending);
  }
  return found.sort((a, b) => a.at_ms - b.at_ms);
}

export function parse(text: string | null): Pending | null {
  try {
    const value = JSON.parse(text ?? 'null') as Pending | null;
    const strings = [value?.key, value?.session, value?.text, value?.by];
    if (!strings.every((field) => typeof field === 'string')) return null;
    if (typeof value?.at_ms !== 'number' || typeof value.state?.is !== 'string') return null;
    return value;
  } catch {
    return null;
  }
}

export function keep(store: Store, pending: Pending): boolean {
  try {
    if (pending.state.is === 'accepted') store.removeItem(PREFIX + pending.key);
    else store.setItem(PREFIX + pending.key, JSON.stringify(pending));
    return true;
  } catch {
    return false;
  }
}

export function drop(store: Store, key: string): void {
  store.removeItem(PREFIX + key);
}

/** The key of the prompt that lies under storage name `name`, if one does. */
export function keyOf(name: string | null): string | null {
  return name?.startsWith(PREFIX) === true ? name.slice(PREFIX.length) : null;
}
