// How long to wait before the next attempt to connect. Pure.

/** The longest wait: an operator with an outage will not sit longer than this in front of a dead page. */
export const BACKOFF_MAX_MS = 15_000;
const BACKOFF_FIRST_MS = 500;
/** Doubling any further would only overflow. */
const DOUBLINGS_MAX = 6;

/**
 * The wait before attempt `attempt` (0 is the first after a loss), milliseconds: doubling, and spread over its upper
 * half so that a gateway that restarts does not meet all its viewers in the same moment. `random` is in [0, 1).
 */
export function backoffMs(attempt: number, random: number): number {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, DOUBLINGS_MAX));
  return Math.round(ceiling * (0.5 + random / 2));
}
