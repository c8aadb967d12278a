import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../src/app/storage';
import * as outbox from '../../src/socket/outbox';
import { SESSION } from './events';

const NOW = 1_800_000_000_000;
const fresh = () => outbox.write('restart nginx', SESSION, 'ana', 'key-1', NOW);

describe('a prompt on its way', () => {
  it('is due at once, for its writer only', () => {
    expect(outbox.isDue(fresh(), 'ana', false, NOW)).toBe(true);
    expect(outbox.isDue(fresh(), 'ben', false, NOW)).toBe(false);
    expect(outbox.isDue(outbox.sent(fresh(), 'e1'), 'ana', false, NOW)).toBe(false);
  });

  it('goes out again under its key after a reconnect', () => {
    const again = outbox.reconnected(outbox.sent(fresh(), 'e1'), 'e1', NOW + 1_000);
    expect(again.key).toBe('key-1');
    expect(outbox.isDue(again, 'ana', true, NOW + 1_000)).toBe(true);
  });

  it('waits for the turn that runs, when told to', () => {
    const waiting = outbox.afterTurn(fresh());
    expect(outbox.isDue(waiting, 'ana', true, NOW)).toBe(false);
    expect(outbox.isDue(waiting, 'ana', false, NOW)).toBe(true);
  });

  it('asks before it runs when it has become old', () => {
    const held = outbox.reconnected(fresh(), 'e1', NOW + outbox.FRESH_MS + 1);
    expect(held.state).toEqual({ is: 'held', why: 'old' });
    expect(outbox.isDue(held, 'ana', false, NOW + outbox.FRESH_MS + 1)).toBe(false);
    expect(outbox.isDue(outbox.release(held, NOW + outbox.FRESH_MS + 2), 'ana', false, NOW + outbox.FRESH_MS + 2)).toBe(true);
  });

  it('asks when the log was restored after it was sent: it may have run', () => {
    expect(outbox.reconnected(outbox.sent(fresh(), 'e1'), 'e2', NOW).state).toEqual({ is: 'held', why: 'restored' });
    expect(outbox.isDue(outbox.reconnected(fresh(), 'e2', NOW), 'ana', false, NOW)).toBe(true);
  });

  it('asks when somebody else was faster', () => {
    const busy = outbox.refused(fresh(), { code: 'busy', message: 'm', by: 'ben', since: 's', turn: 't' }, NOW);
    expect(busy.state).toEqual({ is: 'busy', by: 'ben', since: 's' });
    expect(outbox.isDue(busy, 'ana', false, NOW)).toBe(false);
  });

  it('waits as long as it is told to', () => {
    const limited = outbox.refused(fresh(), { code: 'rate_limited', message: 'm', retry_after_ms: 700 }, NOW);
    expect(outbox.isDue(limited, 'ana', false, NOW + 699)).toBe(false);
    expect(outbox.isDue(limited, 'ana', false, NOW + 700)).toBe(true);
  });

  it.each(['at_capacity', 'unavailable', 'conflict', 'forbidden', 'no_agent', 'too_large'] as const)('asks its writer after %s', (code) => {
    const refused = outbox.refused(fresh(), { code, message: 'why' }, NOW);
    expect(refused.state).toEqual({ is: 'refused', code, message: 'why' });
    expect(outbox.reconnected(refused, 'e1', NOW)).toBe(refused);
  });
});

describe('the storage', () => {
  it('gives back what was kept, in the order of writing, until it was accepted', () => {
    const store = new MemoryStore();
    const second = outbox.write('then look', SESSION, 'ana', 'key-2', NOW + 1);
    outbox.keep(store, second);
    outbox.keep(store, outbox.sent(fresh(), 'e1'));
    expect(outbox.load(store)).toEqual([outbox.sent(fresh(), 'e1'), second]);
    outbox.keep(store, outbox.accepted(second, 9));
    expect(outbox.load(store).map((item) => item.key)).toEqual(['key-1']);
    outbox.drop(store, 'key-1');
    expect(outbox.load(store)).toEqual([]);
  });

  it('leaves alone what it cannot read', () => {
    const store = new MemoryStore();
    for (const [name, value] of [['breakglass.outbox.a', 'nonsense'], ['breakglass.outbox.b', '{"key":"b"}'], ['else', '{}']] as const) {
      store.setItem(name, value);
    }
    expect(outbox.load(store)).toEqual([]);
    expect(store.length).toBe(3);
  });
});
