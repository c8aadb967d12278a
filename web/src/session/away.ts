// What happened in a session while its reader was away. Pure.
import { eventsAfter, type SessionLog } from './fold';

/** The reader saw everything up to `seq`, and left at `at_ms`. */
export interface LeftAt {
  seq: number;
  at_ms: number;
}

export interface Away {
  after: number;
  away_ms: number;
  commands: number;
  errors: number;
  /** Some of it lies before the part of the log that the page has: the counts are lower bounds. */
  partly: boolean;
}

/** Shorter absences are not worth a line. */
export const AWAY_MIN_MS = 20_000;

export function away(log: SessionLog, left: LeftAt, now_ms: number): Away | null {
  const away_ms = now_ms - left.at_ms;
  if (away_ms < AWAY_MIN_MS || log.last <= left.seq) return null;
  let commands = 0;
  let errors = 0;
  for (const event of eventsAfter(log, left.seq)) {
    if (event.kind === 'tool') commands += 1;
    if (event.kind === 'error' || (event.kind === 'tool_result' && event.is_error === true)) errors += 1;
  }
  return { after: left.seq, away_ms, commands, errors, partly: log.first > left.seq + 1 };
}
