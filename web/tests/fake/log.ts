// The fake gateway's memory: sessions, their events, and turns that a script plays. In memory only; for tests of the
// page against faults that a real gateway will not make on request.
import { randomUUID } from 'node:crypto';
import type { EventRecord, Outcome, RunningTurn, SessionState } from '../../src/wire/types';
import { script, type Step } from './script.ts';

export interface Accepted {
  session: string;
  turn: string;
  seq: number;
}

export class FakeSession {
  readonly events: EventRecord[] = [];
  readonly keys = new Map<string, Accepted & { text: string }>();
  turn: RunningTurn | null = null;
  archived = false;
  last_outcome: Outcome | null = null;
  readonly created = new Date().toISOString();
  #stop: (() => void) | null = null;

  constructor(
    readonly session: string,
    public title: string,
    readonly created_by: string,
    readonly agent: string,
    private readonly changed: (session: FakeSession) => void,
  ) {}

  get head(): number {
    return this.events.length;
  }

  state(viewers: number): SessionState {
    return {
      session: this.session,
      title: this.title,
      created: this.created,
      created_by: this.created_by,
      agent: this.agent,
      model: 'default',
      started: this.head > 1,
      head: this.head,
      last_activity: this.events.at(-1)?.time ?? this.created,
      turn: this.turn,
      viewers,
      ...(this.last_outcome === null ? {} : { last_outcome: this.last_outcome }),
      archived: this.archived,
    };
  }

  add(turn: string, body: object, time = new Date()): EventRecord {
    const { ref, ...rest } = body as { ref?: string };
    const record = { session: this.session, seq: this.head + 1, time: time.toISOString(), turn, ...(ref ? { ref } : {}), ...rest };
    this.events.push(record as unknown as EventRecord);
    this.changed(this);
    return record as unknown as EventRecord;
  }

  /** Takes away what event `seq` said, as `breakglass redact` does. */
  redact(seq: number, by: string, reason: string): void {
    const texts = ['text', 'input', 'output', 'result', 'error'];
    const gone = Object.entries(this.events[seq - 1]!).map(([name, value]) => [name, texts.includes(name) ? '[redacted]' : value] as const);
    this.events[seq - 1] = { ...Object.fromEntries(gone), redacted: true } as unknown as EventRecord;
    this.add(this.events.at(-1)!.turn, { kind: 'redaction', of: seq, by, reason, stub_sha256: '00' });
  }

  prompt(text: string, by: string, key: string): Accepted {
    const turn = randomUUID();
    this.turn = { turn, by, since: new Date().toISOString() };
    const { seq } = this.add(turn, { kind: 'user', text, by, model: 'default' });
    const accepted = { session: this.session, turn, seq };
    this.keys.set(key, { ...accepted, text });
    void this.#play(turn, script(text));
    return accepted;
  }

  cancel(by: string): void {
    if (this.turn === null) return;
    this.add(this.turn.turn, { kind: 'cancelled', by });
    this.#stop?.();
  }

  async #play(turn: string, steps: Iterable<Step>): Promise<void> {
    const started = Date.now();
    let stopped = false;
    const stop = new Promise<void>((resolve) => {
      this.#stop = () => {
        stopped = true;
        resolve();
      };
    });
    this.add(turn, { kind: 'session', session_id: randomUUID() });
    let outcome: Outcome = 'ok';
    for (const step of steps) {
      if (step.wait_ms > 0) await Promise.race([new Promise((resolve) => setTimeout(resolve, step.wait_ms)), stop]);
      if (stopped) break;
      if (step.outcome !== undefined) outcome = step.outcome;
      else this.add(turn, step.body);
    }
    if (stopped) outcome = 'cancelled';
    this.turn = null;
    this.#stop = null;
    this.last_outcome = outcome;
    const exit_code = outcome === 'ok' ? 0 : outcome === 'cancelled' ? null : 1;
    this.add(turn, { kind: 'turn_end', outcome, exit_code, duration_ms: Date.now() - started });
  }

  /** Ends whatever runs, so that nothing is left behind. */
  close(): void {
    this.#stop?.();
  }
}
