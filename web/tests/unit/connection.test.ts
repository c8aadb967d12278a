import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Connection, type ConnectionState, type Probe } from '../../src/socket/connection';
import { Lost, Refused } from '../../src/socket/requests';

class FakeSocket {
  static all: FakeSocket[] = [];
  readyState = 0;
  onmessage: ((message: { data: unknown }) => void) | null = null;
  onclose: ((close: { code: number }) => void) | null = null;
  sent: { type: string; id: number }[] = [];
  closed = false;

  constructor() {
    FakeSocket.all.push(this);
  }

  send(text: string) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.closed = true;
  }

  receive(frame: object | string) {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
  }

  hello() {
    this.readyState = 1;
    this.receive({ type: 'hello', name: 'ana', epoch: 'e1' });
  }

  drop(code: number) {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

let probe: Probe;
let states: ConnectionState[];
let frames: { type: string }[];
let connection: Connection;

const newest = () => FakeSocket.all.at(-1)!;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('WebSocket', Object.assign(class {}, { OPEN: 1 }));
  FakeSocket.all = [];
  states = [];
  frames = [];
  probe = 'unreachable';
  connection = new Connection(
    { open: () => new FakeSocket() as unknown as WebSocket, probe: () => Promise.resolve(probe), random: () => 0.5 },
    { state: (state) => states.push(state), hello: () => undefined, frame: (frame) => frames.push(frame) },
  );
  connection.start();
});

afterEach(() => {
  connection.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a connection', () => {
  it('is live only after hello', () => {
    expect(connection.state.is).toBe('connecting');
    newest().hello();
    expect(connection.state.is).toBe('live');
  });

  const waited = () => (connection.state.is === 'waiting' ? connection.state.until_ms - Date.now() : Number.NaN);

  it('comes back for ever, at most 15 s apart', async () => {
    for (let attempt = 0; attempt < 50; attempt++) {
      const count = FakeSocket.all.length;
      newest().drop(1006);
      expect(waited()).toBeLessThanOrEqual(15_000);
      await vi.advanceTimersByTimeAsync(waited());
      expect(FakeSocket.all.length).toBe(count + 1);
    }
  });

  it('begins with a short wait again after a good connection, and not after a bad one', async () => {
    newest().hello();
    newest().drop(1006);
    const first_ms = waited();
    await vi.advanceTimersByTimeAsync(first_ms);
    newest().hello();
    newest().drop(1006);
    expect(waited()).toBeGreaterThan(first_ms);
    await vi.advanceTimersByTimeAsync(waited());
    newest().hello();
    await vi.advanceTimersByTimeAsync(6_000);
    newest().drop(1006);
    expect(waited()).toBe(first_ms);
  });

  it('notices within 30 s that nothing comes any more', async () => {
    newest().hello();
    const dead = newest();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(dead.sent.some((frame) => frame.type === 'ping')).toBe(true);
    expect(dead.closed).toBe(true);
    expect(FakeSocket.all.length).toBeGreaterThan(1);
  });

  it('stays when pings are answered', async () => {
    newest().hello();
    for (let second = 0; second < 120; second++) {
      await vi.advanceTimersByTimeAsync(1_000);
      const ping = newest().sent.at(-1);
      if (ping !== undefined) newest().receive({ type: 'pong', id: ping.id });
    }
    expect(FakeSocket.all.length).toBe(1);
    expect(connection.state.is).toBe('live');
  });

  it('gives up an attempt that nobody answers', async () => {
    await vi.advanceTimersByTimeAsync(12_000);
    expect(newest().closed || FakeSocket.all.length > 1).toBe(true);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(FakeSocket.all.length).toBeGreaterThan(1);
  });

  it('waits as long as a restarting gateway asks, also when nudged', async () => {
    newest().hello();
    newest().receive({ type: 'restarting', reconnect_ms: 3_000 });
    newest().drop(1012);
    connection.nudge();
    await vi.advanceTimersByTimeAsync(2_900);
    expect(FakeSocket.all.length).toBe(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(FakeSocket.all.length).toBe(2);
  });

  it('does not wait when the network comes back', async () => {
    for (let attempt = 0; attempt < 8; attempt++) {
      newest().drop(1006);
      await vi.advanceTimersByTimeAsync(15_000);
    }
    newest().drop(1006);
    const count = FakeSocket.all.length;
    connection.nudge();
    expect(FakeSocket.all.length).toBe(count + 1);
  });

  it('doubts a live connection soon after a sleep', async () => {
    newest().hello();
    connection.nudge();
    expect(newest().sent.at(-1)?.type).toBe('ping');
    await vi.advanceTimersByTimeAsync(4_000);
    expect(connection.state.is).toBe('waiting');
  });

  it('does not come back without credentials, until told to', async () => {
    newest().hello();
    newest().drop(4401);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(connection.state.is).toBe('signed_out');
    expect(FakeSocket.all.length).toBe(1);
    connection.start();
    expect(FakeSocket.all.length).toBe(2);
  });

  it('finds out by asking when the upgrade itself is refused for lack of credentials', async () => {
    probe = 'signed_out';
    newest().drop(1006);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(connection.state.is).toBe('signed_out');
    expect(FakeSocket.all.length).toBe(1);
  });

  it.each([1003, 1007, 1009])('stops at %i', async (code) => {
    newest().hello();
    newest().drop(code);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(connection.state.is).toBe('stopped');
    expect(FakeSocket.all.length).toBe(1);
  });

  it('ignores what an abandoned socket still says', async () => {
    const old = newest();
    old.hello();
    await vi.advanceTimersByTimeAsync(30_000);
    old.receive({ type: 'caught_up', session: 's', seq: 1 });
    old.drop(4401);
    expect(frames).toEqual([]);
    expect(connection.state.is).not.toBe('signed_out');
  });

  it('survives frames that are none', () => {
    newest().hello();
    for (const nonsense of ['', 'null', '[]', '{"type":7}', '{"type":"event"}', '{"type":"event","session":"s","turn":"t","time":"x","kind":"text","seq":0}']) {
      newest().receive(nonsense);
    }
    expect(connection.state.is).toBe('live');
    expect(frames).toEqual([]);
  });
});

describe('a request', () => {
  it('gets its own reply', async () => {
    newest().hello();
    const first = connection.request({ type: 'watch' });
    const second = connection.request({ type: 'unwatch' });
    const [a, b] = newest().sent;
    newest().receive({ type: 'unwatched', id: b!.id });
    newest().receive({ type: 'watching', id: a!.id });
    expect((await first).type).toBe('watching');
    expect((await second).type).toBe('unwatched');
  });

  it('is refused with what the gateway said', async () => {
    newest().hello();
    const request = connection.request({ type: 'watch' });
    newest().receive({ type: 'error', id: newest().sent[0]!.id, code: 'busy', message: 'a turn is running' });
    await expect(request).rejects.toBeInstanceOf(Refused);
  });

  it('is lost with its connection', async () => {
    newest().hello();
    const request = connection.request({ type: 'watch' });
    newest().drop(1006);
    await expect(request).rejects.toBeInstanceOf(Lost);
  });
});
