import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { draftOf, keepDraft } from '../../src/app/drafts';
import { parseRoute, sessionHash } from '../../src/app/route';
import { Seen } from '../../src/app/seen';
import { MemoryStore } from '../../src/app/storage';
import { away } from '../../src/session/away';
import { append, emptyLog, rowsOf } from '../../src/session/fold';
import * as lists from '../../src/session/list';
import * as windows from '../../src/session/window';
import type { SessionState } from '../../src/wire/types';
import { isUuid, newUuid } from '../../src/wire/ids';
import { anyLog, end, logOf, OTHER, SESSION, text, tool, toolResult, user } from './events';

const state = (more: Partial<SessionState>): SessionState => ({
  session: SESSION,
  title: 't',
  created: '2026-11-21T00:00:00.000Z',
  created_by: 'ana',
  agent: 'drill',
  model: 'm',
  started: true,
  head: 3,
  last_activity: '2026-11-21T01:00:00.000Z',
  turn: null,
  viewers: 0,
  archived: false,
  ...more,
});

describe('addresses', () => {
  it('are understood', () => {
    expect(parseRoute('#token=ab%2Bc')).toEqual({ to: 'sign_in', token: 'ab+c' });
    expect(parseRoute(sessionHash(SESSION))).toEqual({ to: 'session', session: SESSION, seq: null });
    expect(parseRoute(sessionHash(SESSION, 17))).toEqual({ to: 'session', session: SESSION, seq: 17 });
    expect(parseRoute('#17')).toEqual({ to: 'event', seq: 17 });
    for (const other of ['', '#', '#/', '#/nonsense', '#-3', '#0', '#1.5']) expect(parseRoute(other)).toEqual({ to: 'home' });
  });
});

describe('ids', () => {
  it('are UUIDs, and never the same', () => {
    const ids = Array.from({ length: 1_000 }, newUuid);
    expect(ids.every(isUuid)).toBe(true);
    expect(new Set(ids).size).toBe(1_000);
  });
});

describe('drafts', () => {
  it('are kept for each session', () => {
    const store = new MemoryStore();
    keepDraft(store, SESSION, 'half a thou');
    expect(draftOf(store, SESSION)).toBe('half a thou');
    expect(draftOf(store, OTHER)).toBe('');
    keepDraft(store, SESSION, '');
    expect(store.length).toBe(0);
  });
});

describe('unread', () => {
  it('is what came after the last look, in this epoch', () => {
    const seen = new Seen(new MemoryStore(), Date.parse('2026-11-21T00:30:00Z'));
    expect(seen.isUnread(state({}), 'e1')).toBe(true);
    seen.set(SESSION, 'e1', { seq: 3, at_ms: 1 });
    expect(seen.isUnread(state({}), 'e1')).toBe(false);
    expect(seen.isUnread(state({ head: 4 }), 'e1')).toBe(true);
    expect(seen.get(SESSION, 'e2')).toBeNull();
  });

  it('is not what happened before this browser first came', () => {
    const seen = new Seen(new MemoryStore(), Date.parse('2026-11-21T02:00:00Z'));
    expect(seen.isUnread(state({}), 'e1')).toBe(false);
  });
});

describe('the list', () => {
  it('marks what runs and what failed; a turn that was stopped did not fail', () => {
    const turn = { turn: 't', by: 'ana', since: '2026-11-21T02:00:00.000Z' };
    expect(lists.markOf(state({}))).toBe('idle');
    expect(lists.markOf(state({ turn, last_outcome: 'error' }))).toBe('running');
    for (const outcome of ['ok', 'cancelled'] as const) expect(lists.markOf(state({ last_outcome: outcome }))).toBe('idle');
    for (const outcome of ['error', 'timeout', 'lost'] as const) expect(lists.markOf(state({ last_outcome: outcome }))).toBe('failed');
  });

  it('has running sessions on top, then the latest activity', () => {
    const turn = { turn: 't', by: 'ben', since: '2026-11-21T00:10:00.000Z' };
    const list = lists.changed(lists.EMPTY_LIST, [
      state({ session: 'old', last_activity: '2026-11-21T01:00:00.000Z' }),
      state({ session: 'new', last_activity: '2026-11-21T02:00:00.000Z' }),
      state({ session: 'runs', last_activity: '2026-11-21T00:20:00.000Z', turn }),
    ]);
    expect(lists.inOrder(list).map((each) => each.session)).toEqual(['runs', 'new', 'old']);
  });

  it('does not flicker while it is sent anew, and forgets what is gone', () => {
    let list = lists.watchingLive(lists.changed(lists.watching(lists.EMPTY_LIST), [state({ session: 'a' }), state({ session: 'b' })]));
    list = lists.changed(lists.watching(list), [state({ session: 'b' })]);
    expect([...list.sessions.keys()].sort()).toEqual(['a', 'b']);
    expect([...lists.watchingLive(list).sessions.keys()]).toEqual(['b']);
  });

  it('tells which turns have ended, each once', () => {
    const turn = { turn: 't1', by: 'ben', since: '2026-11-21T00:10:00.000Z' };
    const running = lists.changed(lists.EMPTY_LIST, [state({ turn })]);
    expect(lists.ended(running, [state({ turn })])).toEqual([]);
    expect(lists.ended(running, [state({})]).map((each) => each.turn.turn)).toEqual(['t1']);
    expect(lists.ended(running, [state({ turn: { ...turn, turn: 't2' } })]).map((each) => each.turn.turn)).toEqual(['t1']);
    expect(lists.ended(lists.changed(running, [state({})]), [state({})])).toEqual([]);
  });

  it('is searched by title, id and people', () => {
    expect(lists.matches(state({ title: 'Disk FULL' }), 'full')).toBe(true);
    expect(lists.matches(state({}), 'ANA')).toBe(true);
    expect(lists.matches(state({}), 'nobody')).toBe(false);
  });
});

describe('after an absence', () => {
  const events = logOf([[user(), text('a'), tool('x'), toolResult('x', 'no', true), tool('y'), toolResult('y'), end()]]);
  const log = append(emptyLog(SESSION, 1), events);

  it('the reader is told what happened', () => {
    expect(away(log, { seq: 2, at_ms: 0 }, 660_000)).toEqual({ after: 2, away_ms: 660_000, commands: 2, errors: 1, partly: false });
    expect(away(append(emptyLog(SESSION, 5), events.slice(4)), { seq: 2, at_ms: 0 }, 660_000)).toMatchObject({ commands: 1, partly: true });
  });

  it('nothing is said when nothing happened or it was short', () => {
    expect(away(log, { seq: 7, at_ms: 0 }, 660_000)).toBeNull();
    expect(away(log, { seq: 2, at_ms: 0 }, 5_000)).toBeNull();
  });
});

describe('the stretch that is drawn', () => {
  const many = rowsOf(append(emptyLog(SESSION, 1), logOf([[user(), ...Array.from({ length: 3_000 }, (_, n) => text(`${n}`)), end()]])));
  const size = (stretch: windows.Stretch) => {
    const { start, end: last } = windows.indices(many, stretch);
    return last - start;
  };

  it('is bounded, wherever the reader goes', () => {
    const move = fc.constantFrom('up', 'down', 'follow', 'stand', 'jump');
    fc.assert(
      fc.property(fc.array(fc.tuple(move, fc.integer({ min: 1, max: 3_002 })), { maxLength: 60 }), (moves) => {
        let stretch = windows.following(many, windows.NEWEST);
        for (const [what, seq] of moves) {
          if (what === 'up') stretch = windows.upwards(many, stretch);
          if (what === 'down') stretch = windows.downwards(many, stretch);
          if (what === 'follow') stretch = windows.following(many, stretch);
          if (what === 'stand') stretch = windows.standing(many, stretch);
          if (what === 'jump') stretch = windows.around(many, seq);
          expect(size(stretch)).toBeGreaterThan(0);
          expect(size(stretch)).toBeLessThanOrEqual(windows.DRAWN_ROWS_MAX);
        }
      }),
    );
  });

  it('reaches the first and the last row', () => {
    let stretch = windows.following(many, windows.NEWEST);
    for (let step = 0; step < 200; step++) stretch = windows.upwards(many, stretch);
    expect(windows.indices(many, stretch).start).toBe(0);
    for (let step = 0; step < 200; step++) stretch = windows.downwards(many, stretch);
    expect(stretch.bottom).toBeNull();
    expect(windows.indices(many, stretch).end).toBe(many.length);
  });

  it('contains the row that a link asks for', () => {
    fc.assert(
      fc.property(anyLog, fc.nat(), (events, at) => {
        fc.pre(events.length > 0);
        const rows = rowsOf(append(emptyLog(SESSION, 1), events));
        const row = windows.rowOf(rows, 1 + (at % events.length));
        const { start, end: last } = windows.indices(rows, windows.around(rows, row!.seq));
        expect(rows.slice(start, last)).toContain(row);
      }),
    );
  });
});
