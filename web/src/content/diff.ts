// The difference of two texts by line, for showing an edit. Pure.

export interface DiffLine {
  sign: ' ' | '+' | '-';
  text: string;
}

/** Beyond this many comparisons the middle is shown as "all of it out, all of it in": still true, and quick. */
const CELLS_MAX = 250_000;
/** Unchanged lines that are shown around a change. */
const CONTEXT_LINES = 3;

/** What turns `before` into `after`, with `CONTEXT_LINES` unchanged lines around it. */
export function diffLines(before: string, after: string): DiffLine[] {
  const a = lines(before);
  const b = lines(after);
  const shared = Math.min(a.length, b.length);
  let start = 0;
  while (start < shared && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < shared - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const middle = changed(a.slice(start, a.length - end), b.slice(start, b.length - end));
  const above = a.slice(Math.max(0, start - CONTEXT_LINES), start);
  const below = a.slice(a.length - end, a.length - end + CONTEXT_LINES);
  return [...signed(' ', above), ...middle, ...signed(' ', below)];
}

function lines(text: string): string[] {
  if (text === '') return [];
  return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
}

function signed(sign: DiffLine['sign'], texts: string[]): DiffLine[] {
  return texts.map((text) => ({ sign, text }));
}

/** The longest common subsequence, walked back. */
function changed(a: string[], b: string[]): DiffLine[] {
  if (a.length * b.length > CELLS_MAX || a.length === 0 || b.length === 0) return [...signed('-', a), ...signed('+', b)];
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] =
        a[i] === b[j]
          ? longest[(i + 1) * width + j + 1]! + 1
          : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!);
    }
  }
  const out: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push({ sign: ' ', text: a[i]! });
      i += 1;
      j += 1;
    } else if (i < a.length && (j === b.length || longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!)) {
      out.push({ sign: '-', text: a[i++]! });
    } else {
      out.push({ sign: '+', text: b[j++]! });
    }
  }
  return out;
}
