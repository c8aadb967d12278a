// The pure fold of a session's events into what the page shows of it. Idempotent by seq: an event that it has is
// dropped, a hole is never bridged, so live, replayed and paged events give the same state in any cutting.
import type { EventRecord } from '../wire/types';
import type { Row, Turn } from './rows';
import { emptyTurn, extend } from './turn';

/** A stretch of the log without a hole: the events `first` to `last`, by turn. Empty when `first` is beyond `last`. */
export interface SessionLog {
  readonly session: string;
  readonly first: number;
  readonly last: number;
  readonly turns: readonly Turn[];
}

/** An empty stretch whose first event will be number `from`. */
export function emptyLog(session: string, from: number): SessionLog {
  return { session, first: from, last: from - 1, turns: [] };
}

/** `log` with the events that come directly behind it; all others are dropped. */
export function append(log: SessionLog, events: readonly EventRecord[]): SessionLog {
  let last = log.last;
  const next = events.filter((event) => {
    if (event.session !== log.session || event.seq !== last + 1) return false;
    last = event.seq;
    return true;
  });
  if (next.length === 0) return log;
  const turns = [...log.turns];
  for (const [turn, run] of byTurn(next)) {
    const open = turns.at(-1);
    if (open?.turn === turn) turns[turns.length - 1] = extend(open, run);
    else turns.push(extend(emptyTurn(turn), run));
  }
  return { ...log, last, turns };
}

/** `log` with the events of an older page that end directly before it; all others are dropped. */
export function prepend(log: SessionLog, page: readonly EventRecord[]): SessionLog {
  const older = contiguousBefore(log, page);
  if (older.length === 0) return log;
  const before = append(emptyLog(log.session, older[0]!.seq), older);
  const seam = before.turns.at(-1)!;
  const [first, ...rest] = log.turns;
  if (first === undefined) return { ...log, first: before.first, turns: before.turns };
  const joined =
    first.turn === seam.turn
      ? [...before.turns.slice(0, -1), reusing(first.rows, extend(seam, first.events)), ...rest]
      : [...before.turns, first, ...rest];
  return { ...log, first: before.first, turns: joined };
}

/** `log` with `stub` in the place of the event of its number. What else is on the screen is not drawn anew. */
export function replace(log: SessionLog, stub: EventRecord): SessionLog {
  const at = log.turns.findIndex((turn) => turn.turn === stub.turn && eventOf(turn, stub.seq) !== null);
  const turn = log.turns[at];
  if (stub.session !== log.session || turn === undefined) return log;
  const events = turn.events.map((event) => (event.seq === stub.seq ? stub : event));
  const others = turn.rows.filter((row) => row.seq !== stub.seq && !(row.kind === 'tool' && row.output?.seq === stub.seq));
  return { ...log, turns: log.turns.with(at, reusing(others, extend(emptyTurn(turn.turn), events))) };
}

/** `turn` with those of `known` rows that say the same: what is on the screen is not drawn anew for an older page. */
function reusing(known: readonly Row[], turn: Turn): Turn {
  const bySeq = new Map(known.map((row) => [row.seq, row]));
  const rows = turn.rows.map((row) => {
    const old = bySeq.get(row.seq);
    return old !== undefined && saysTheSame(old, row) ? old : row;
  });
  return { ...turn, rows };
}

function saysTheSame(old: Row, row: Row): boolean {
  if (old.kind !== row.kind) return false;
  if (old.kind === 'tool' && row.kind === 'tool') {
    return old.output?.seq === row.output?.seq && old.ended === row.ended && old.cancelled === row.cancelled;
  }
  return true;
}

function contiguousBefore(log: SessionLog, page: readonly EventRecord[]): EventRecord[] {
  const older: EventRecord[] = [];
  let want = log.first - 1;
  for (const event of page.toReversed()) {
    if (event.session !== log.session || event.seq !== want) continue;
    older.push(event);
    want -= 1;
  }
  return older.reverse();
}

/** `events` in runs of the same turn. A turn's events lie together: only one runs at a time. */
function byTurn(events: readonly EventRecord[]): [string, EventRecord[]][] {
  const runs: [string, EventRecord[]][] = [];
  for (const event of events) {
    const open = runs.at(-1);
    if (open?.[0] === event.turn) open[1].push(event);
    else runs.push([event.turn, [event]]);
  }
  return runs;
}

export function rowsOf(log: SessionLog): Row[] {
  return log.turns.flatMap((turn) => turn.rows);
}

/** The turn that runs, by the log alone. */
export function runningTurn(log: SessionLog): Turn | null {
  const newest = log.turns.at(-1);
  return newest !== undefined && newest.end === null ? newest : null;
}

/** The events of `log` behind seq `after`, oldest first. */
export function* eventsAfter(log: SessionLog, after: number): Generator<EventRecord> {
  for (const turn of log.turns) {
    if ((turn.events.at(-1)?.seq ?? 0) <= after) continue;
    for (const event of turn.events) if (event.seq > after) yield event;
  }
}

export function eventAt(log: SessionLog, seq: number): EventRecord | null {
  for (const turn of log.turns) {
    const event = eventOf(turn, seq);
    if (event !== null) return event;
  }
  return null;
}

function eventOf(turn: Turn, seq: number): EventRecord | null {
  const event = turn.events[seq - (turn.events[0]?.seq ?? 0)];
  return event?.seq === seq ? event : null;
}
