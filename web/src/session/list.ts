// The pure fold of `watch`: the list of sessions. A list that is being sent anew replaces the old one only when it is
// complete, so that the list on the screen does not empty itself at each reconnect.
import type { RunningTurn, SessionState } from '../wire/types';

export interface SessionList {
  readonly sessions: ReadonlyMap<string, SessionState>;
  /** What has come of a new list so far; null when the list is live. */
  readonly incoming: ReadonlyMap<string, SessionState> | null;
  /** Whether a whole list has ever come. */
  readonly known: boolean;
}

export const EMPTY_LIST: SessionList = { sessions: new Map(), incoming: null, known: false };

export function watching(list: SessionList): SessionList {
  return { ...list, incoming: new Map() };
}

export function watchingLive(list: SessionList): SessionList {
  return { sessions: list.incoming ?? list.sessions, incoming: null, known: true };
}

/** Whether the list is what the gateway has now. */
export function isLive(list: SessionList): boolean {
  return list.known && list.incoming === null;
}

export function changed(list: SessionList, states: readonly SessionState[]): SessionList {
  const sessions = new Map(list.sessions);
  const incoming = list.incoming === null ? null : new Map(list.incoming);
  for (const state of states) {
    sessions.set(state.session, state);
    incoming?.set(state.session, state);
  }
  return { ...list, sessions, incoming };
}

/** How a session is marked in the list; a turn that somebody stopped did not fail. */
export function markOf(state: SessionState): 'running' | 'failed' | 'idle' {
  if (state.turn) return 'running';
  const outcome = state.last_outcome ?? 'ok';
  return outcome === 'ok' || outcome === 'cancelled' ? 'idle' : 'failed';
}

/** The turns that ran in `list` and do not run any more after `states`. */
export function ended(list: SessionList, states: readonly SessionState[]): { state: SessionState; turn: RunningTurn }[] {
  return states.flatMap((state) => {
    const turn = list.sessions.get(state.session)?.turn;
    return turn && turn.turn !== state.turn?.turn ? [{ state, turn }] : [];
  });
}

/**
 * The order on the screen: running ones first, the latest started on top, so that two that run do not swap places with
 * every event; then the others by their latest activity.
 */
export function inOrder(list: SessionList): SessionState[] {
  return [...list.sessions.values()].sort((a, b) => compare(b, a));
}

function compare(a: SessionState, b: SessionState): number {
  if ((a.turn ?? null) !== null && (b.turn ?? null) !== null) return byText(a.turn!.since, b.turn!.since, a, b);
  if (a.turn) return 1;
  if (b.turn) return -1;
  return byText(a.last_activity, b.last_activity, a, b);
}

function byText(x: string, y: string, a: SessionState, b: SessionState): number {
  if (x !== y) return x < y ? -1 : 1;
  return a.session < b.session ? -1 : 1;
}

export function matches(state: SessionState, needle: string): boolean {
  const wanted = needle.trim().toLowerCase();
  if (wanted === '') return true;
  const fields = [state.title, state.session, state.created_by, state.agent, state.turn?.by ?? ''];
  return fields.some((field) => String(field).toLowerCase().includes(wanted));
}
