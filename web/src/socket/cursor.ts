// Where this page stands in one session's log: which event it has, which one must come next, and how to ask for it.
// Pure. It owns the client's half of "every event, in order, once": a duplicate is dropped, a hole is never accepted.
import type { Attached, Request } from '../wire/types';

/** How much of a session is asked for at first; the rest is paged in as the reader scrolls. */
export const TAIL_EVENTS = 200;
/** Further behind than this, the newest page is fetched instead of everything in between: the network may be bad. */
export const BEHIND_EVENTS_MAX = 2_000;

export interface Cursor {
  readonly session: string;
  /** The epoch that `last` belongs to; null while nothing is known of the session. */
  readonly epoch: string | null;
  /** The seq of the newest event taken. */
  readonly last: number;
  /** The id of the attach request whose `attached` is awaited; events before it belong to nobody. */
  readonly awaiting: number | null;
  /** Whether the replay is complete and what comes is live. */
  readonly live: boolean;
}

export type Step = 'take' | 'duplicate' | 'gap' | 'stray';

export function newCursor(session: string): Cursor {
  return { session, epoch: null, last: 0, awaiting: null, live: false };
}

/** The request that (re)opens the session where the cursor stands, sent as request `id`. */
export function attach(cursor: Cursor, id: number): [Cursor, Request] {
  const next = { ...cursor, awaiting: id, live: false };
  if (cursor.epoch === null) return [next, { type: 'attach', session: cursor.session, tail: TAIL_EVENTS }];
  return [next, { type: 'attach', session: cursor.session, after: cursor.last, epoch: cursor.epoch }];
}

/** Forgets everything: the next attach asks for the newest page. */
export function forget(cursor: Cursor): Cursor {
  return newCursor(cursor.session);
}

/** The connection is gone, and with it what was awaited from it. */
export function disconnected(cursor: Cursor): Cursor {
  return { ...cursor, awaiting: null, live: false };
}

export type AttachOutcome =
  /** Not the answer to the newest attach. */
  | { then: 'ignore' }
  /** Events from `from` on will come. `fresh`: what was known of the session before is void. */
  | { then: 'replay'; cursor: Cursor; fresh: boolean }
  /** Too much lies in between: forget and attach anew. */
  | { then: 'skip_ahead' };

export function attached(cursor: Cursor, id: number, frame: Attached): AttachOutcome {
  if (cursor.awaiting !== id) return { then: 'ignore' };
  const resumed = cursor.epoch === frame.epoch && frame.from === cursor.last + 1;
  if (resumed && frame.head - cursor.last > BEHIND_EVENTS_MAX) return { then: 'skip_ahead' };
  const last = frame.from - 1;
  return {
    then: 'replay',
    fresh: !resumed,
    cursor: { ...cursor, epoch: frame.epoch, last, awaiting: null, live: false },
  };
}

/** What to do with an event of this session. */
export function step(cursor: Cursor, seq: number): Step {
  if (cursor.epoch === null || cursor.awaiting !== null) return 'stray';
  if (seq <= cursor.last) return 'duplicate';
  return seq === cursor.last + 1 ? 'take' : 'gap';
}

export function took(cursor: Cursor, seq: number): Cursor {
  return { ...cursor, last: seq };
}

export function caughtUp(cursor: Cursor): Cursor {
  return cursor.awaiting === null ? { ...cursor, live: true } : cursor;
}
