import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BACKOFF_MAX_MS, backoffMs } from '../../src/socket/backoff';
import { verdict } from '../../src/socket/close';
import * as cursors from '../../src/socket/cursor';
import type { Attached } from '../../src/wire/types';
import { SESSION } from './events';

describe('the back-off', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  it('stays within its bounds for ever', () => {
    fc.assert(
      fc.property(fc.nat({ max: 100_000 }), random, (attempt, by) => {
        const wait_ms = backoffMs(attempt, by);
        expect(wait_ms).toBeGreaterThanOrEqual(250);
        expect(wait_ms).toBeLessThanOrEqual(BACKOFF_MAX_MS);
      }),
    );
  });

  it('grows with the attempts and is spread', () => {
    expect(backoffMs(0, 0)).toBe(250);
    expect(backoffMs(3, 0)).toBe(2_000);
    expect(backoffMs(20, 0)).toBe(BACKOFF_MAX_MS / 2);
    expect(backoffMs(3, 0.5)).toBe(3_000);
  });
});

describe('close codes', () => {
  it.each([1000, 1001, 1005, 1006, 1011, 1012, 4408, 4410, 4999])('%i: come back', (code) => {
    expect(verdict(code)).toEqual({ then: 'reconnect', from_attempt: 0 });
  });

  it('4429: come back, but late', () => {
    const late = verdict(4429);
    expect(late.then === 'reconnect' && backoffMs(late.from_attempt, 0)).toBeGreaterThanOrEqual(5_000);
  });

  it('4401: sign in first', () => expect(verdict(4401)).toEqual({ then: 'sign_in' }));

  it.each([1003, 1007, 1009])('%i: do not come back as we are', (code) => expect(verdict(code).then).toBe('stop'));
});

describe('the cursor', () => {
  const frame = (from: number, head: number, epoch = 'e1') => ({ type: 'attached', session: SESSION, epoch, head, from }) as Attached;

  function attachedAt(last: number, epoch = 'e1'): cursors.Cursor {
    const [awaiting] = cursors.attach(cursors.newCursor(SESSION), 1);
    const outcome = cursors.attached(awaiting, 1, frame(last + 1, last, epoch));
    if (outcome.then !== 'replay') throw new Error(outcome.then);
    return cursors.caughtUp(outcome.cursor);
  }

  it('asks for the tail at first, and afterwards for what it lacks', () => {
    expect(cursors.attach(cursors.newCursor(SESSION), 1)[1]).toEqual({ type: 'attach', session: SESSION, tail: 200 });
    expect(cursors.attach(attachedAt(7), 2)[1]).toEqual({ type: 'attach', session: SESSION, after: 7, epoch: 'e1' });
  });

  it('takes each event once and in order, and reports a hole', () => {
    const cursor = attachedAt(7);
    expect(cursors.step(cursor, 7)).toBe('duplicate');
    expect(cursors.step(cursor, 9)).toBe('gap');
    expect(cursors.step(cursor, 8)).toBe('take');
    expect(cursors.step(cursors.took(cursor, 8), 8)).toBe('duplicate');
  });

  it('does not take what belongs to an earlier attach', () => {
    const [awaiting] = cursors.attach(attachedAt(7), 5);
    expect(cursors.step(awaiting, 8)).toBe('stray');
    expect(cursors.attached(awaiting, 4, frame(8, 9)).then).toBe('ignore');
    expect(cursors.caughtUp(awaiting).live).toBe(false);
  });

  it('knows a resumed log from another one', () => {
    const [awaiting] = cursors.attach(attachedAt(7), 5);
    expect(cursors.attached(awaiting, 5, frame(8, 20))).toMatchObject({ then: 'replay', fresh: false });
    expect(cursors.attached(awaiting, 5, frame(1, 20, 'e2'))).toMatchObject({ then: 'replay', fresh: true, cursor: { last: 0, epoch: 'e2' } });
  });

  it('skips ahead when too much lies in between', () => {
    const [awaiting] = cursors.attach(attachedAt(7), 5);
    expect(cursors.attached(awaiting, 5, frame(8, 7 + cursors.BEHIND_EVENTS_MAX + 1)).then).toBe('skip_ahead');
    expect(cursors.attach(cursors.forget(awaiting), 6)[1]).toMatchObject({ tail: cursors.TAIL_EVENTS });
  });

  it('takes exactly the events from `from` on, whatever arrives', () => {
    fc.assert(
      fc.property(fc.nat({ max: 20 }), fc.array(fc.integer({ min: 1, max: 40 })), (last, seqs) => {
        let cursor = attachedAt(last);
        const taken: number[] = [];
        for (const seq of seqs) {
          if (cursors.step(cursor, seq) !== 'take') continue;
          cursor = cursors.took(cursor, seq);
          taken.push(seq);
        }
        expect(taken).toEqual(taken.map((_, index) => last + 1 + index));
      }),
    );
  });
});
