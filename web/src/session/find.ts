// What of a row can be found by searching: its words, in small letters.
import { asText } from '../wire/parse';
import type { Row } from './rows';

const texts = new WeakMap<Row, string>();

/** Kept for each row: rows never change, and a search asks again at every keystroke. */
export function textOf(row: Row): string {
  const known = texts.get(row);
  if (known !== undefined) return known;
  const text = words(row).join('\n').toLowerCase();
  texts.set(row, text);
  return text;
}

function words(row: Row): string[] {
  switch (row.kind) {
    case 'tool':
      return [row.name, asText(row.input), row.output?.output ?? ''];
    case 'output':
      return [row.output.output];
    case 'status':
      return [row.state, row.detail];
    case 'cancelled':
      return [row.by];
    case 'redaction':
      return [row.by, row.reason];
    case 'end':
      return [row.outcome, ...row.left.map((process) => process.command)];
    case 'prompt':
      return [row.by, row.text];
    default:
      return [row.text];
  }
}
