// How a tool's use reads: a verb, what it is done to, and what there is to show of it. Pure. Inputs are the agent's:
// any field may be missing or of any type, and an unknown tool shows its input as it is.
import { asText, isObject } from '../wire/parse';
import { diffLines, type DiffLine } from './diff';

export interface Todo {
  text: string;
  state: 'done' | 'doing' | 'open';
}

export type ToolBody =
  | { is: 'none' }
  | { is: 'diff'; lines: DiffLine[] }
  | { is: 'todos'; todos: Todo[] }
  | { is: 'json'; text: string };

export interface ToolView {
  verb: string;
  /** The command, path or pattern; may have many lines. */
  subject: string;
  /** A few quiet words beside it. */
  note: string;
  body: ToolBody;
}

type Input = { [key: string]: unknown };
const NOTHING: ToolBody = { is: 'none' };

export function describe(name: string, input: unknown): ToolView {
  const fields: Input = isObject(input) ? input : {};
  const known = KNOWN[name];
  if (known !== undefined && Object.hasOwn(KNOWN, name)) {
    const view = known(fields);
    if (view !== null) return { verb: name, ...view };
  }
  return { verb: name, subject: '', note: '', body: { is: 'json', text: pretty(input) } };
}

/** `value` as indented JSON. */
export function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? '';
}

// Each gives null when the input lacks what the view is about: then the input is shown as it is.
const KNOWN: { [name: string]: (input: Input) => Omit<ToolView, 'verb'> | null } = {
  Bash: (input) => about(input, 'command', asText(input['description'])),
  Read: (input) => about(input, 'file_path', lineRange(input)),
  Grep: (input) => about(input, 'pattern', within(input)),
  Glob: (input) => about(input, 'pattern', within(input)),
  LS: (input) => about(input, 'path', ''),
  WebFetch: (input) => about(input, 'url', ''),
  WebSearch: (input) => about(input, 'query', ''),
  Edit: (input) => edit(input, diffLines(asText(input['old_string']), asText(input['new_string']))),
  MultiEdit: (input) => edit(input, multiEdit(input['edits'])),
  Write: (input) => edit(input, diffLines('', asText(input['content']))),
  TodoWrite: todoWrite,
};

function about(input: Input, field: string, note: string): Omit<ToolView, 'verb'> | null {
  if (!(field in input)) return null;
  return { subject: asText(input[field]), note, body: NOTHING };
}

function edit(input: Input, lines: DiffLine[]): Omit<ToolView, 'verb'> | null {
  if (!('file_path' in input)) return null;
  const added = lines.filter((line) => line.sign === '+').length;
  const removed = lines.filter((line) => line.sign === '-').length;
  return { subject: asText(input['file_path']), note: `+${added} \u2212${removed}`, body: { is: 'diff', lines } };
}

function multiEdit(edits: unknown): DiffLine[] {
  if (!Array.isArray(edits)) return [];
  return edits.filter(isObject).flatMap((one) => diffLines(asText(one['old_string']), asText(one['new_string'])));
}

function lineRange(input: Input): string {
  if (!('offset' in input) && !('limit' in input)) return '';
  const from = Number(input['offset'] ?? 1);
  const count = Number(input['limit']);
  return Number.isFinite(count) ? `lines ${from} to ${from + count - 1}` : `from line ${from}`;
}

function within(input: Input): string {
  const path = asText(input['path']);
  return path === '' ? '' : `in ${path}`;
}

function todoWrite(input: Input): Omit<ToolView, 'verb'> | null {
  if (!Array.isArray(input['todos'])) return null;
  const todos = input['todos'].filter(isObject).map((todo) => ({
    text: asText(todo['content']),
    state: todoState(asText(todo['status'])),
  }));
  const done = todos.filter((todo) => todo.state === 'done').length;
  return { subject: '', note: `${done} of ${todos.length} done`, body: { is: 'todos', todos } };
}

function todoState(status: string): Todo['state'] {
  if (status === 'completed') return 'done';
  return status === 'in_progress' ? 'doing' : 'open';
}
