import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plain, spans } from '../../src/content/ansi';
import { head, tail } from '../../src/content/clip';
import { isTable } from '../../src/content/columns';
import { diffLines } from '../../src/content/diff';
import { nextStep } from '../../src/content/next';
import { reveal, revealDirection } from '../../src/content/reveal';
import { describe as describeTool } from '../../src/content/tools';

describe('terminal colours', () => {
  it('become classes, and the text stays', () => {
    const parts = spans('a \u001b[1;31mred\u001b[0m b');
    expect(parts.map((part) => part.text).join('')).toBe('a red b');
    expect(parts[1]?.classes.split(' ')).toEqual(expect.arrayContaining(['ansi-red', 'ansi-bold']));
  });

  it('drop titles, links and cursor movements', () => {
    expect(plain('\u001b]0;title\u0007a\u001b[2J\u001b[10;3Hb\u001b]8;;http://x\u001b\\c')).toBe('abc');
  });

  it('take a carriage return as a terminal does', () => {
    expect(plain('10 %\r50 %\r100 %\ndone\r\n')).toBe('100 %\ndone\n');
  });

  it('never lose or add printable text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'ö', '<', '&', '\n', ' ', '"') }), (text) => {
        expect(plain(text)).toBe(text);
      }),
    );
  });

  it('survive anything', () => {
    const nasty = fc.string({ unit: fc.constantFrom('\u001b', '[', ']', '3', ';', 'm', '\u0007', '\\', 'x', '\r', '\n') });
    fc.assert(fc.property(nasty, (text) => spans(text).every((part) => /^[a-z0-9 -]*$/.test(part.classes))));
  });
});

describe('unseen characters', () => {
  it('are named in commands', () => {
    expect(reveal('rm \u202efdp.sh\u200b')).toBe('rm ⟨U+202E⟩fdp.sh⟨U+200B⟩');
    expect(reveal('tab\tand\nnewline')).toBe('tab\tand\nnewline');
  });

  it('in prose only when they turn the direction', () => {
    expect(revealDirection('👩\u200d💻 \u202eabc')).toBe('👩\u200d💻 ⟨U+202E⟩abc');
  });
});

describe('clipping', () => {
  it('keeps the head or the tail, and says how much is missing', () => {
    expect(head('1\n2\n3\n4', 2, 100)).toEqual({ text: '1\n2', hidden_lines: 2, hidden_chars: 4 });
    expect(tail('1\n2\n3\n4\n', 2, 100)).toEqual({ text: '3\n4\n', hidden_lines: 2, hidden_chars: 4 });
    expect(tail('1\n2', 2, 100)).toEqual({ text: '1\n2', hidden_lines: 0, hidden_chars: 0 });
  });

  it('shortens one endless line', () => {
    const line = 'x'.repeat(1_000_000);
    expect(head(line, 10, 100).text).toHaveLength(100);
    expect(tail(line, 10, 100).text).toHaveLength(100);
  });

  it('gives back a prefix or a suffix within its bounds', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '\n', '😀') });
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 2, max: 9 }), (whole, lines, chars) => {
        const first = head(whole, lines, chars);
        expect(whole.startsWith(first.text)).toBe(true);
        expect(first.text.length + first.hidden_chars).toBe(whole.length);
        expect(first.text.split('\n').length).toBeLessThanOrEqual(lines);
        const last = tail(whole, lines, chars);
        expect(whole.endsWith(last.text)).toBe(true);
        expect(last.text.length + last.hidden_chars).toBe(whole.length);
        expect(last.text.replace(/\n$/, '').split('\n').length).toBeLessThanOrEqual(lines);
        expect(first.text.isWellFormed() && last.text.isWellFormed()).toBe(true);
      }),
    );
  });
});

describe('differences', () => {
  it('are what was taken out and what was put in', () => {
    const shown = diffLines('a\nb\nc\n', 'a\nB\nc\n').map((line) => line.sign + line.text);
    expect(shown).toEqual([' a', '-b', '+B', ' c']);
  });

  it('turn the one text into the other', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 8 }).map((lines) => lines.join('\n'));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const lines = diffLines(before, after);
        const all = (drop: string) => lines.filter((line) => line.sign !== drop).map((line) => line.text);
        const old = before === '' ? [] : before.replace(/\n$/, '').split('\n');
        const young = after === '' ? [] : after.replace(/\n$/, '').split('\n');
        // Unchanged lines far from a change are left out, the same ones on both sides.
        expect(old.join('\n')).toContain(all('+').join('\n'));
        expect(young.join('\n')).toContain(all('-').join('\n'));
        const removed = lines.filter((line) => line.sign === '-').length;
        const added = lines.filter((line) => line.sign === '+').length;
        expect(added - removed).toBe(young.length - old.length);
      }),
    );
  });

  it('of two huge texts take no time to speak of', () => {
    const many = (mark: string) => Array.from({ length: 20_000 }, (_, n) => `${mark}${n}`).join('\n');
    expect(diffLines(many('a'), many('b'))).toHaveLength(40_000);
  });
});

describe('tools', () => {
  it('read well when known', () => {
    expect(describeTool('Bash', { command: 'df -h', description: 'Disks' })).toMatchObject({ verb: 'Bash', subject: 'df -h', note: 'Disks' });
    expect(describeTool('Grep', { pattern: 'x', path: '/etc' })).toMatchObject({ subject: 'x', note: 'in /etc' });
    expect(describeTool('Edit', { file_path: '/f', old_string: 'a', new_string: 'b' })).toMatchObject({ subject: '/f', note: '+1 −1' });
    expect(describeTool('TodoWrite', { todos: [{ content: 'a', status: 'completed' }, { content: 'b', status: 'pending' }] })).toMatchObject({ note: '1 of 2 done' });
  });

  it('show their input when not', () => {
    expect(describeTool('mcp__x', { a: 1 }).body).toEqual({ is: 'json', text: '{\n  "a": 1\n}' });
    expect(describeTool('constructor', { a: 1 }).body.is).toBe('json');
    expect(describeTool('Bash', { other: 1 }).body.is).toBe('json');
  });

  it('survive any name and any input', () => {
    const name = fc.oneof(fc.string(), fc.constantFrom('Bash', 'Read', 'Grep', 'Glob', 'Edit', 'MultiEdit', 'Write', 'TodoWrite', '__proto__'));
    const input = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(fc.constantFrom('command', 'file_path', 'pattern', 'path', 'old_string', 'new_string', 'content', 'todos', 'edits', 'offset', 'limit'), fc.jsonValue()),
    );
    fc.assert(
      fc.property(name, input, (tool, value) => {
        const view = describeTool(tool, value);
        expect([typeof view.verb, typeof view.subject, typeof view.note]).toEqual(['string', 'string', 'string']);
      }),
    );
  });
});

describe('tables', () => {
  it('are told from lines', () => {
    for (const table of ['Filesystem  Size\n/dev/vda1   40G', '100G\t/var\n71G\t/var/log\n', '     1\tdaily\n     2\t', 'total 69G\n-rw-r-----  1 a\n-rw-r-----  1 b']) {
      expect(isTable(table), table).toBe(true);
    }
    const wide = `a  b\nc  d\n${'x'.repeat(121)}`;
    for (const lines of ['', 'one', 'Exit code 1\ntail: error writing: No space left on device', 'a  b', 'if x:\n    y\n    z', wide]) {
      expect(isTable(lines), lines).toBe(false);
    }
  });
});

describe('what to do next', () => {
  it('follows from what went wrong', () => {
    expect(nextStep('turn timed out after 1800s')).toContain('BREAKGLASS_TURN_TIMEOUT_SECONDS');
    expect(nextStep('the turn was lost: its supervisor died, or the machine restarted')).toContain('half done');
    expect(nextStep('the agent could not be started: No such file')).toContain('installed');
    expect(nextStep('API Error: 401 {"type":"authentication_error"}')).toContain('signed in');
    expect(nextStep('claude: connect ECONNREFUSED 10.0.0.1:443')).toContain('cannot be reached');
    expect(nextStep('exit 1')).toContain('send another prompt');
  });
});
