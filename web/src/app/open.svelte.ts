// One session that is or was on the screen: its cursor, its log, who watches it. It takes frames and gives requests;
// it does not know the connection.
import { ApiError, eventsBefore } from './api';
import { away, type Away, type LeftAt } from '../session/away';
import { append, emptyLog, eventAt, prepend, replace, runningTurn, type SessionLog } from '../session/fold';
import * as cursors from '../socket/cursor';
import type { Attached, ErrorBody, EventRecord, Request, Viewer } from '../wire/types';

const PAGE_EVENTS = 200;
/** Pages on the way to a far event are bigger. */
const FAR_PAGE_EVENTS = 1_000;
/** And there are at most so many of them; nobody scrolls through more. */
const FAR_PAGES_MAX = 50;

export class OpenSession {
  log: SessionLog = $state.raw(emptyLog('', 1));
  viewers: Viewer[] = $state.raw([]);
  /** Something of it has been shown since it was opened. */
  known = $state(false);
  /** All that was in the log has come; what follows is live. */
  live = $state(false);
  problem: string | null = $state(null);
  loadingOlder = $state(false);
  away: Away | null = $state.raw(null);
  /** The turn that somebody here asked to stop. */
  stopping: string | null = $state(null);

  #cursor: cursors.Cursor;
  #buffer: EventRecord[] = [];
  #loading: Promise<void> | null = null;
  /** Events that were redacted and may be here as they were. */
  readonly #redacted = new Set<number>();
  #stubbing: Promise<void> | null = null;
  #stubsDue = false;

  constructor(readonly session: string) {
    this.log = emptyLog(session, 1);
    this.#cursor = cursors.newCursor(session);
  }

  get epoch(): string | null {
    return this.#cursor.epoch;
  }

  running = $derived(this.live ? runningTurn(this.log) : null);

  attach(post: (request: Request) => number): void {
    // The id is known only after sending; the frame itself does not depend on it.
    const [, request] = cursors.attach(this.#cursor, 0);
    const id = post(request);
    [this.#cursor] = cursors.attach(this.#cursor, id);
    this.live = false;
  }

  disconnected(): void {
    this.#cursor = cursors.disconnected(this.#cursor);
    this.live = false;
    this.viewers = [];
  }

  /** Whether request `id` is the attach that is awaited. */
  awaits(id: unknown): boolean {
    return id !== null && id === this.#cursor.awaiting;
  }

  /** Returns whether to attach again. */
  attached(id: number, frame: Attached): boolean {
    const outcome = cursors.attached(this.#cursor, id, frame);
    if (outcome.then === 'ignore') return false;
    if (outcome.then === 'skip_ahead') {
      this.#forget();
      return true;
    }
    this.#cursor = outcome.cursor;
    if (outcome.fresh) {
      this.#buffer = [];
      this.#redacted.clear();
      this.log = emptyLog(this.session, frame.from);
    }
    this.problem = null;
    return false;
  }

  /** Returns whether to attach again. */
  refused(error: ErrorBody): boolean {
    this.#cursor = cursors.disconnected(this.#cursor);
    if (error.code === 'epoch_changed') {
      this.#forget();
      return true;
    }
    this.problem = error.code === 'not_found' ? 'There is no such session.' : `It cannot be shown: ${error.message}`;
    return false;
  }

  /** Takes an event into the buffer. `gap`: something is missing, attach again. */
  event(event: EventRecord): cursors.Step {
    const step = cursors.step(this.#cursor, event.seq);
    if (step !== 'take') return step;
    this.#cursor = cursors.took(this.#cursor, event.seq);
    this.#buffer.push(event);
    return 'take';
  }

  /** Folds what came since the last frame of the screen. */
  flush(): void {
    if (this.#buffer.length === 0) return;
    const events = this.#buffer;
    this.#buffer = [];
    this.log = append(this.log, events);
    this.known = true;
    for (const event of events) if (event.kind === 'redaction') this.#redacted.add(event.of);
    this.#putStubs();
  }

  caughtUp(): void {
    this.#cursor = cursors.caughtUp(this.#cursor);
    this.flush();
    this.#putStubs();
    this.live = this.#cursor.live;
    this.known = true;
    if (this.stopping !== null && runningTurn(this.log)?.turn !== this.stopping) this.stopping = null;
  }

  cameBack(left: LeftAt, now_ms: number): void {
    this.away = away(this.log, left, now_ms) ?? this.away;
  }

  get hasOlder(): boolean {
    return this.known && this.log.first > 1;
  }

  /** Loads the page before the first event; a page that is on its way already is waited for instead. */
  loadOlder(limit = PAGE_EVENTS): Promise<void> {
    this.#loading ??= this.#loadOlder(limit).finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #loadOlder(limit: number): Promise<void> {
    const epoch = this.epoch;
    if (!this.hasOlder || epoch === null) return;
    this.loadingOlder = true;
    try {
      const page = await eventsBefore(this.session, this.log.first, limit, epoch);
      if (this.epoch === epoch) this.log = prepend(this.log, page);
      // It may have been read before something in it was redacted.
      this.#putStubs();
    } finally {
      this.loadingOlder = false;
    }
  }

  /** Loads back until event `seq` is there; false when it cannot be had. */
  async reach(seq: number): Promise<boolean> {
    for (let page = 0; page < FAR_PAGES_MAX && seq < this.log.first; page++) {
      const first = this.log.first;
      await this.loadOlder(FAR_PAGE_EVENTS);
      if (this.log.first === first) break;
    }
    return seq >= this.log.first && seq <= this.log.last;
  }

  /** Whatever was redacted gives way to its stub. When that cannot be had now, the next event, page or connection asks again. */
  #putStubs(): void {
    this.#stubsDue = this.#redacted.size > 0;
    if (this.#stubsDue) this.#stubbing ??= this.#askForStubs().finally(() => (this.#stubbing = null));
  }

  async #askForStubs(): Promise<void> {
    while (this.#stubsDue) {
      this.#stubsDue = false;
      for (const seq of this.#redacted) if (await this.#isStub(seq).catch(() => false)) this.#redacted.delete(seq);
    }
  }

  /** Whether event `seq` is a stub here, after asking for it. One on an older page will be. */
  async #isStub(seq: number): Promise<boolean> {
    const [event, epoch] = [eventAt(this.log, seq), this.epoch];
    if (event === null || epoch === null) return false;
    if (event.redacted === true) return true;
    const [stub] = await eventsBefore(this.session, seq + 1, 1, epoch);
    if (stub?.seq !== seq || stub.redacted !== true || this.epoch !== epoch) return false;
    this.log = replace(this.log, stub);
    return true;
  }

  /** What is on the screen stays until its replacement comes. */
  #forget(): void {
    this.#cursor = cursors.forget(this.#cursor);
    this.#buffer = [];
  }
}

export function isEpochChange(error: unknown): boolean {
  return error instanceof ApiError && error.code === 'epoch_changed';
}
