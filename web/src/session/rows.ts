// What a transcript is made of: rows, each of which has one place on the screen. Built by the fold, drawn by components.
import type { EventRecord, LeftProcess } from '../wire/types';

export interface PromptRow {
  kind: 'prompt';
  seq: number;
  time: string;
  text: string;
  by: string;
  model: string;
}

export interface ProseRow {
  kind: 'prose';
  seq: number;
  time: string;
  text: string;
}

export interface ToolOutput {
  seq: number;
  time: string;
  is_error: boolean;
  output: string;
  /** The full length of the output; more than `output` has when its middle was cut out. Null when not told. */
  bytes: number | null;
}

/**
 * A tool and, when it came back, its output. `ended`: the turn is over, so nothing more will come. `cancelled`: somebody
 * had asked to stop the turn before the output came, and the agent says then that the tool failed.
 */
export interface ToolRow {
  kind: 'tool';
  seq: number;
  time: string;
  ref: string | null;
  name: string;
  input: unknown;
  output: ToolOutput | null;
  ended: boolean;
  cancelled: boolean;
}

/** An output whose tool lies before the part of the log that this page has. */
export interface OutputRow {
  kind: 'output';
  seq: number;
  time: string;
  ref: string | null;
  output: ToolOutput;
}

export interface StatusRow {
  kind: 'status';
  seq: number;
  time: string;
  state: string;
  detail: string;
}

/** The agent's own final result, when it says something that the prose did not. */
export interface ResultRow {
  kind: 'result';
  seq: number;
  time: string;
  is_error: boolean;
  text: string;
}

export interface ErrorRow {
  kind: 'error';
  seq: number;
  time: string;
  text: string;
}

export interface CancelledRow {
  kind: 'cancelled';
  seq: number;
  time: string;
  by: string;
}

/** What an earlier event said was taken away for good. */
export interface RedactionRow {
  kind: 'redaction';
  seq: number;
  time: string;
  of: number | null;
  by: string;
  reason: string;
}

export interface EndRow {
  kind: 'end';
  seq: number;
  time: string;
  outcome: string;
  exit_code: number | null;
  duration_ms: number | null;
  left: LeftProcess[];
}

export type Row =
  | PromptRow
  | ProseRow
  | ToolRow
  | OutputRow
  | StatusRow
  | ResultRow
  | ErrorRow
  | CancelledRow
  | RedactionRow
  | EndRow;

export interface Turn {
  readonly turn: string;
  /** Its events that this page has, in order, as they came. */
  readonly events: readonly EventRecord[];
  readonly rows: readonly Row[];
  readonly prompt: PromptRow | null;
  readonly end: EndRow | null;
}

export type ToolState = 'running' | 'ok' | 'failed' | 'interrupted';

export function toolState(row: ToolRow): ToolState {
  if (row.output !== null) return !row.output.is_error ? 'ok' : row.cancelled ? 'interrupted' : 'failed';
  return row.ended ? 'interrupted' : 'running';
}

/** How long the tool took, milliseconds, by the log's clock; null while it runs or when the times make no sense. */
export function toolDurationMs(row: ToolRow): number | null {
  if (row.output === null) return null;
  const ms = Date.parse(row.output.time) - Date.parse(row.time);
  return Number.isFinite(ms) && ms >= 0 ? ms : null;
}
