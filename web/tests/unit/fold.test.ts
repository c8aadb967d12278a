import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { append, emptyLog, eventAt, prepend, replace, rowsOf, runningTurn } from '../../src/session/fold';
import { toolState, type Row } from '../../src/session/rows';
import type { EventRecord } from '../../src/wire/types';
import { anyLog, end, logOf, OTHER, SESSION, text, tool, toolResult, user } from './events';

const whole = (events: EventRecord[]) => append(emptyLog(SESSION, 1), events);
const oneByOne = (events: EventRecord[], log = emptyLog(SESSION, 1)) => events.reduce((so_far, event) => append(so_far, [event]), log);

describe('the fold gives the same state for the same log', () => {
  it('live, event by event, as in one replay', () => {
    fc.assert(
      fc.property(anyLog, (events) => {
        expect(oneByOne(events)).toEqual(whole(events));
      }),
    );
  });

  it('replayed from any seq that was already seen, in any batches', () => {
    fc.assert(
      fc.property(anyLog, fc.nat(), fc.array(fc.integer({ min: 1, max: 5 })), (events, at, sizes) => {
        const k = at % (events.length + 1);
        let log = oneByOne(events.slice(0, k));
        let rest = events.slice(k);
        for (const size of sizes) {
          log = append(log, rest.slice(0, size));
          rest = rest.slice(size);
        }
        expect(append(log, rest)).toEqual(whole(events));
      }),
    );
  });

  it('with duplicates and with events of other sessions in between', () => {
    const noise = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.boolean()), { maxLength: 30 });
    fc.assert(
      fc.property(anyLog, noise, (events, extras) => {
        const stream = [...events];
        for (const [which, where, foreign] of extras) {
          if (events.length === 0) continue;
          const copy = events[which % events.length]!;
          // A duplicate can come only after its original.
          const at = stream.indexOf(copy) + 1 + (where % (stream.length - stream.indexOf(copy)));
          stream.splice(at, 0, foreign ? { ...copy, session: OTHER } : copy);
        }
        expect(oneByOne(stream)).toEqual(whole(events));
      }),
    );
  });

  it('paged back from any tail, in any pages, also overlapping ones', () => {
    fc.assert(
      fc.property(anyLog, fc.nat(), fc.array(fc.tuple(fc.integer({ min: 1, max: 7 }), fc.nat({ max: 3 }))), (events, at, pages) => {
        const k = at % (events.length + 1);
        let log = append(emptyLog(SESSION, k + 1), events.slice(k));
        for (const [size, overlap] of [...pages, [events.length, 0] as const]) {
          const before = log.first - 1;
          log = prepend(log, events.slice(Math.max(0, before - size), before + overlap));
        }
        expect(log).toEqual(whole(events));
      }),
    );
  });

  it('never bridges a hole', () => {
    fc.assert(
      fc.property(anyLog, fc.nat(), (events, at) => {
        fc.pre(events.length > 1);
        const missing = 1 + (at % (events.length - 1));
        const holed = events.filter((_, index) => index !== missing - 1);
        expect(whole(holed)).toEqual(whole(events.slice(0, missing - 1)));
      }),
    );
  });

  it('gives every row a seq of its own, in order', () => {
    fc.assert(
      fc.property(anyLog, (events) => {
        const seqs = rowsOf(whole(events)).map((row) => row.seq);
        expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
      }),
    );
  });

  it('with a stub put in the place of an event, as when the stub was there from the beginning', () => {
    fc.assert(
      fc.property(anyLog, fc.nat(), (events, at) => {
        fc.pre(events.length > 0);
        const was = events[at % events.length]!;
        const stub = { ...was, text: '[redacted]', output: '[redacted]', input: '[redacted]', result: '[redacted]', redacted: true } as unknown as EventRecord;
        expect(replace(whole(events), stub)).toEqual(whole(events.map((event) => (event === was ? stub : event))));
      }),
    );
  });

  it('with a stub of another session or of an event that is not there, as without', () => {
    const log = whole(logOf([[user(), text('a'), end()]]));
    const stub = { ...eventAt(log, 2)!, redacted: true };
    for (const other of [{ ...stub, session: OTHER }, { ...stub, seq: 9 }, { ...stub, turn: 'turn-9' }]) expect(replace(log, other)).toBe(log);
  });

  it('finds every event again', () => {
    fc.assert(
      fc.property(anyLog, (events) => {
        const log = whole(events);
        for (const event of events) expect(eventAt(log, event.seq)).toEqual(event);
        expect(eventAt(log, events.length + 1)).toBeNull();
      }),
    );
  });
});

describe('tools', () => {
  const toolsIn = (rows: Row[]) => rows.filter((row) => row.kind === 'tool');

  it('get their own output by `ref`, also when several run', () => {
    const events = logOf([[user(), tool('a'), tool('b'), toolResult('b', 'of b'), toolResult('a', 'of a', true), end()]]);
    const [a, b] = toolsIn(rowsOf(whole(events)));
    expect(a?.output?.output).toBe('of a');
    expect(toolState(a!)).toBe('failed');
    expect(b?.output?.output).toBe('of b');
    expect(toolState(b!)).toBe('ok');
  });

  it('run until they come back or their turn ends', () => {
    const events = logOf([[user(), tool('a'), end('cancelled')]]);
    expect(toolState(toolsIn(rowsOf(whole(events.slice(0, 2))))[0]!)).toBe('running');
    expect(toolState(toolsIn(rowsOf(whole(events)))[0]!)).toBe('interrupted');
  });

  it('are interrupted also when the wish to stop is on an older page', () => {
    const events = logOf([[user(), { kind: 'cancelled', by: 'ana' }, tool('a'), toolResult('a', 'killed', true), end('cancelled')]]);
    const tail = append(emptyLog(SESSION, 3), events.slice(2));
    expect(toolState(toolsIn(rowsOf(prepend(tail, events.slice(0, 2))))[0]!)).toBe('interrupted');
  });

  it('show an output without its tool until the page with the tool is there', () => {
    const events = logOf([[user(), tool('a'), toolResult('a', 'found'), end()]]);
    const tail = append(emptyLog(SESSION, 3), events.slice(2));
    expect(rowsOf(tail).map((row) => row.kind)).toEqual(['output', 'end']);
    expect(rowsOf(prepend(tail, events.slice(0, 2))).map((row) => row.kind)).toEqual(['prompt', 'tool', 'end']);
  });
});

describe('turns', () => {
  it('stay ended when something of them is redacted later, and show that it was', () => {
    const redaction = { kind: 'redaction', of: 2, by: 'root', reason: 'a password', stub_sha256: '00' } as const;
    const log = whole(logOf([[user(), text('secret'), end(), redaction]]));
    expect(runningTurn(log)).toBeNull();
    expect(rowsOf(log).at(-1)).toMatchObject({ kind: 'redaction', of: 2, by: 'root', reason: 'a password' });
  });

  it('draw anew only what was redacted', () => {
    const log = whole(logOf([[user(), tool('a'), toolResult('a', 'hunter2'), text('b'), end()], [user('again'), end()]]));
    const gone = replace(log, { ...eventAt(log, 3)!, output: '[redacted]', redacted: true } as unknown as EventRecord);
    const [before, after] = [rowsOf(log), rowsOf(gone)];
    expect(after[1]).toMatchObject({ kind: 'tool', output: { seq: 3, output: '[redacted]' } });
    expect(JSON.stringify(gone)).not.toContain('hunter2');
    expect(after.map((row, index) => row === before[index])).toEqual([true, false, true, true, true, true]);
  });

  it('run until their end is in the log', () => {
    const events = logOf([[user(), text('a'), end()], [user('again', 'ben'), text('b')]]);
    expect(runningTurn(whole(events))?.prompt?.by).toBe('ben');
    expect(runningTurn(whole(events.slice(0, 3)))).toBeNull();
  });

  it('do not say the same twice', () => {
    const result = { kind: 'result', is_error: false, result: 'All done.', duration_ms: 1 };
    expect(rowsOf(whole(logOf([[user(), text('All done.'), result, end()]]))).map((row) => row.kind)).toEqual(['prompt', 'prose', 'end']);
    const failed = { ...result, is_error: true };
    expect(rowsOf(whole(logOf([[user(), text('All done.'), failed, end('error')]]))).map((row) => row.kind)).toEqual(['prompt', 'prose', 'end']);
    expect(rowsOf(whole(logOf([[user(), text('Hm.'), result, end()]]))).map((row) => row.kind)).toEqual(['prompt', 'prose', 'result', 'end']);
  });
});
