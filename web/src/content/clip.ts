// Long texts, shortened. Pure. Works on lines and on single lines of a megabyte alike.

export interface Clip {
  text: string;
  /** Lines left out before `text` (tail) or behind it (head). */
  hidden_lines: number;
  /** Characters left out. */
  hidden_chars: number;
}

/** The first `lines` lines of `text`, and at most `chars` characters. */
export function head(text: string, lines: number, chars: number): Clip {
  let end = nthNewline(text, lines);
  if (end > chars) end = wholeCharacter(text, chars);
  return clipped(text, text.slice(0, end), text.slice(end));
}

/** The last `lines` lines of `text`, and at most `chars` characters. */
export function tail(text: string, lines: number, chars: number): Clip {
  const body = text.endsWith('\n') ? text.length - 1 : text.length;
  let start = body;
  for (let count = 0; count < lines && start >= 0; count++) start = start === 0 ? -1 : text.lastIndexOf('\n', start - 1);
  start += 1;
  if (body - start > chars) start = wholeCharacter(text, body - chars);
  return clipped(text, text.slice(start), text.slice(0, start));
}

function clipped(whole: string, shown: string, hidden: string): Clip {
  if (shown.length === whole.length) return { text: whole, hidden_lines: 0, hidden_chars: 0 };
  return { text: shown, hidden_lines: countLines(hidden), hidden_chars: hidden.length };
}

function nthNewline(text: string, lines: number): number {
  let at = -1;
  for (let count = 0; count < lines; count++) {
    at = text.indexOf('\n', at + 1);
    if (at === -1) return text.length;
  }
  return at;
}

/** `at`, moved so that no surrogate pair is cut. */
function wholeCharacter(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff ? at + 1 : at;
}

export function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}
