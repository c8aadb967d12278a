// Characters that change how a text looks without being seen. A command with a hidden turn of the writing direction can
// read differently from what ran, so such characters are drawn as what they are.

// Bidirectional overrides, embeddings and isolates.
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
// The same, and what has no width or no picture at all. Newline and tab stay.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

function named(character: string): string {
  const point = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
  return `\u27e8U+${point}\u27e9`;
}

/** For commands, paths, outputs and diffs: everything unseen is named. */
export function reveal(text: string): string {
  return text.replace(UNSEEN, named);
}

/** For prose: joiners and marks belong to many scripts and stay; what turns the writing direction is named. */
export function revealDirection(text: string): string {
  return text.replace(DIRECTION, named);
}
