// The fold of one turn's events into its rows. Pure: the same events give the same rows, however they were cut up.
import { asCount, asText, isObject } from '../wire/parse';
import type { EventRecord, LeftProcess } from '../wire/types';
import type { EndRow, PromptRow, Row, StatusRow, ToolOutput, ToolRow, Turn } from './rows';

/** `turn` with `more` of its events behind those that it has. */
export function extend(turn: Turn, more: readonly EventRecord[]): Turn {
  const draft: Draft = { rows: [...turn.rows], prompt: turn.prompt, end: turn.end };
  for (const event of more) apply(draft, event);
  return { turn: turn.turn, events: [...turn.events, ...more], ...draft };
}

export function emptyTurn(turn: string): Turn {
  return { turn, events: [], rows: [], prompt: null, end: null };
}

interface Draft {
  rows: Row[];
  prompt: PromptRow | null;
  end: EndRow | null;
}

function apply(draft: Draft, event: EventRecord): void {
  const { seq, time } = event;
  switch (event.kind) {
    case 'user':
      draft.prompt = { kind: 'prompt', seq, time, text: asText(event.text), by: asText(event.by), model: asText(event.model) };
      draft.rows.push(draft.prompt);
      return;
    case 'text':
      draft.rows.push({ kind: 'prose', seq, time, text: asText(event.text) });
      return;
    case 'tool':
      draft.rows.push(toolRow(event, draft.end !== null));
      return;
    case 'tool_result':
      applyOutput(draft, event);
      return;
    case 'status':
      draft.rows.push(statusRow(event));
      return;
    case 'result':
      applyResult(draft, event);
      return;
    case 'error':
      draft.rows.push({ kind: 'error', seq, time, text: asText(event.error) });
      return;
    case 'cancelled':
      draft.rows.push({ kind: 'cancelled', seq, time, by: asText(event.by) });
      return;
    case 'redaction':
      draft.rows.push({ kind: 'redaction', seq, time, of: asCount(event.of), by: asText(event.by), reason: asText(event.reason) });
      return;
    case 'turn_end':
      applyEnd(draft, event);
      return;
    // `session` names the agent's conversation and shows nothing; a kind of a later version is counted, not drawn.
    default:
      return;
  }
}

function toolRow(event: EventRecord & { kind: 'tool' }, ended: boolean): ToolRow {
  return {
    kind: 'tool',
    seq: event.seq,
    time: event.time,
    ref: refOf(event),
    name: asText(event.name),
    input: event.input,
    output: null,
    ended,
    cancelled: false,
  };
}

function applyOutput(draft: Draft, event: EventRecord & { kind: 'tool_result' }): void {
  const output: ToolOutput = {
    seq: event.seq,
    time: event.time,
    is_error: event.is_error === true,
    output: asText(event.output),
    bytes: asCount(event.bytes),
  };
  const ref = refOf(event);
  const at = draft.rows.findLastIndex((row) => row.kind === 'tool' && row.ref === ref && row.output === null);
  const tool = ref === null ? undefined : draft.rows[at];
  const cancelled = draft.rows.some((row) => row.kind === 'cancelled');
  if (tool?.kind === 'tool') draft.rows[at] = { ...tool, output, cancelled };
  else draft.rows.push({ kind: 'output', seq: event.seq, time: event.time, ref, output });
}

function statusRow(event: EventRecord & { kind: 'status' }): StatusRow {
  return { kind: 'status', seq: event.seq, time: event.time, state: asText(event.state), detail: asText(event.detail) };
}

/** The agent's closing words repeat its last prose nearly always; they are shown only when they do not. */
function applyResult(draft: Draft, event: EventRecord & { kind: 'result' }): void {
  const text = asText(event.result);
  const lastProse = draft.rows.findLast((row) => row.kind === 'prose');
  const repeats = lastProse?.kind === 'prose' && lastProse.text.trim() === text.trim();
  if (repeats || text.trim() === '') return;
  draft.rows.push({ kind: 'result', seq: event.seq, time: event.time, is_error: event.is_error === true, text });
}

function applyEnd(draft: Draft, event: EventRecord & { kind: 'turn_end' }): void {
  draft.end = {
    kind: 'end',
    seq: event.seq,
    time: event.time,
    outcome: asText(event.outcome),
    exit_code: typeof event.exit_code === 'number' ? event.exit_code : null,
    duration_ms: asCount(event.duration_ms),
    left: leftProcesses(event.left),
  };
  draft.rows = draft.rows.map((row) => (row.kind === 'tool' && row.output === null ? { ...row, ended: true } : row));
  draft.rows.push(draft.end);
}

function leftProcesses(value: unknown): LeftProcess[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isObject).map((entry) => ({ pid: asCount(entry['pid']) ?? 0, command: asText(entry['command']) }));
}

function refOf(event: EventRecord): string | null {
  return typeof event.ref === 'string' && event.ref !== '' ? event.ref : null;
}
