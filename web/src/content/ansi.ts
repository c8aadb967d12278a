// A tool's output with its terminal colours, as spans of plain text. Never HTML. Escapes that move the cursor, set
// titles or make links are dropped; a carriage return means what it does on a terminal: the line begins anew.
import Anser from 'anser';
import { reveal } from './reveal';

export interface Span {
  text: string;
  /** CSS class names, as in components/output.css; empty for plain text. */
  classes: string;
}

// OSC, DCS, APC and PM strings, up to their end or the end of the text.
const STRINGS = /\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\|$)/g;
// Control sequences other than colours ("m").
const NOT_COLOURS = /\u001b\[[0-?]*[ -/]*[@-ln-~]/g;
const OTHER_ESCAPES = /\u001b(?!\[)[ -/]*[0-~]?/g;
const COLOUR = /\u001b\[[0-9;:]*m/;

export function spans(text: string): Span[] {
  const clean = rewriteLines(text.replace(STRINGS, '').replace(NOT_COLOURS, '').replace(OTHER_ESCAPES, ''));
  if (!COLOUR.test(clean)) return clean === '' ? [] : [{ text: reveal(clean), classes: '' }];
  return Anser.ansiToJson(clean, { use_classes: true, remove_empty: true }).map((part) => ({
    text: reveal(part.content),
    classes: classesOf(part.fg, part.bg, part.decorations),
  }));
}

/** What the plain text of `text` is: for copying, and for searching. */
export function plain(text: string): string {
  return spans(text)
    .map((span) => span.text)
    .join('');
}

function rewriteLines(text: string): string {
  if (!text.includes('\r')) return text;
  return text
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => line.replace(/\r+$/, ''))
    .map((line) => line.slice(line.lastIndexOf('\r') + 1))
    .join('\n');
}

function classesOf(fg: string | null, bg: string | null, decorations: string[]): string {
  const names = [fg, bg === null ? null : `bg-${bg}`, ...decorations.map((name) => `ansi-${name}`)];
  return names.filter((name) => name !== null && /^[a-z0-9-]+$/.test(name)).join(' ');
}
