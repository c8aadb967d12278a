// Whether a text is a table: columns set with blanks, which wrapping would destroy. Pure.

/** As wide as tools print tables; in wider lines the columns matter less than being able to read them at all. */
const COLUMNS_MAX = 120;
/** So many lines with columns make a table. */
const LINES_MIN = 2;
const COLUMN = /\S(?: {2,}|\t)\S|^\s*\d+\t/;

export function isTable(text: string): boolean {
  let lines = 0;
  for (const line of text.split('\n')) {
    if (line.length > COLUMNS_MAX) return false;
    if (COLUMN.test(line)) lines += 1;
  }
  return lines >= LINES_MIN;
}
