// Which rows are in the page. Only a stretch of a long transcript is drawn; it moves with the reader. Pure.
import type { Row } from './rows';

/** Rows kept when the reader follows the newest. */
export const FOLLOW_ROWS = 100;
/** Beyond this the stretch is cut back to `FOLLOW_ROWS`, at its far end. */
export const DRAWN_ROWS_MAX = 240;
/** Rows added when the reader comes near an end of the stretch. */
export const STEP_ROWS = 30;

/** Named by seqs, so that it stays where it is while pages arrive before it. */
export interface Stretch {
  /** Seq of the first row drawn; 0: from the beginning. */
  readonly top: number;
  /** Seq of the last row drawn; null: to the end, and whatever comes. */
  readonly bottom: number | null;
}

export const NEWEST: Stretch = { top: 0, bottom: null };

/** The indices [start, end) of the rows in `stretch`. */
export function indices(rows: readonly Row[], stretch: Stretch): { start: number; end: number } {
  const start = firstFrom(rows, stretch.top);
  const end = stretch.bottom === null ? rows.length : firstFrom(rows, stretch.bottom + 1);
  return { start, end: Math.max(start, end) };
}

/** The index of the first row whose seq is at least `seq`. */
export function firstFrom(rows: readonly Row[], seq: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows[middle]!.seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** For a reader at the end: the newest rows. */
export function following(rows: readonly Row[], stretch: Stretch): Stretch {
  const { start } = indices(rows, { ...stretch, bottom: null });
  if (stretch.bottom === null && rows.length - start <= DRAWN_ROWS_MAX) return stretch;
  return { top: seqAt(rows, rows.length - FOLLOW_ROWS), bottom: null };
}

/** For a reader elsewhere: what has piled up below is not drawn until they come near it. */
export function standing(rows: readonly Row[], stretch: Stretch): Stretch {
  const { start, end } = indices(rows, stretch);
  if (end - start <= DRAWN_ROWS_MAX) return stretch;
  return { ...stretch, bottom: seqAt(rows, start + DRAWN_ROWS_MAX - 1) };
}

/** More rows above; the same stretch when there are none. */
export function upwards(rows: readonly Row[], stretch: Stretch): Stretch {
  const { start } = indices(rows, stretch);
  if (start === 0) return stretch;
  return standing(rows, { ...stretch, top: start <= STEP_ROWS ? 0 : seqAt(rows, start - STEP_ROWS) });
}

/** More rows below; what is far above is dropped. */
export function downwards(rows: readonly Row[], stretch: Stretch): Stretch {
  const { start, end } = indices(rows, stretch);
  if (end >= rows.length) return stretch.bottom === null ? stretch : { ...stretch, bottom: null };
  const next = Math.min(rows.length, end + STEP_ROWS);
  return {
    top: next - start > DRAWN_ROWS_MAX ? seqAt(rows, next - DRAWN_ROWS_MAX) : stretch.top,
    bottom: next === rows.length ? null : seqAt(rows, next - 1),
  };
}

/** A stretch with event `seq` in its middle. */
export function around(rows: readonly Row[], seq: number): Stretch {
  const at = firstFrom(rows, seq);
  const end = at + FOLLOW_ROWS;
  return { top: at <= STEP_ROWS ? 0 : seqAt(rows, at - STEP_ROWS), bottom: end >= rows.length ? null : seqAt(rows, end) };
}

/** The row that shows event `seq`: its own, the one of its tool, or the nearest before it. */
export function rowOf(rows: readonly Row[], seq: number): Row | null {
  const at = firstFrom(rows, seq);
  if (rows[at]?.seq === seq) return rows[at];
  const tool = rows.slice(0, at).findLast((row) => row.kind === 'tool' && row.output?.seq === seq);
  return tool ?? rows[at - 1] ?? rows[at] ?? null;
}

function seqAt(rows: readonly Row[], index: number): number {
  return rows[Math.max(0, index)]?.seq ?? 0;
}
