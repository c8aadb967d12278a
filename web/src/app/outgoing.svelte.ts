// The outbox at work: sends what is due, in the order in which it was written, one prompt of a session at a time.
import * as outbox from '../socket/outbox';
import type { Pending, Store } from '../socket/outbox';
import { Lost, Refused } from '../socket/requests';
import type { Frame, Request } from '../wire/types';
import { newUuid } from '../wire/ids';

export interface Line {
  request(request: Request): Promise<Frame>;
  /** Who is signed in, and in which epoch; null while there is no connection. */
  identity(): { name: string; epoch: string } | null;
  /** Whether a turn runs in the session, as far as this page knows. */
  busy(session: string): boolean;
  /** The newest seq of the session that is on the screen or in the list. */
  head(session: string): number;
}

export class Outgoing {
  items: Pending[] = $state.raw([]);
  /** A prompt could not be kept in the browser's storage: it would not survive a reload. */
  unkept = $state(false);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly store: Store,
    private readonly line: Line,
  ) {
    this.items = outbox.load(store);
  }

  of(session: string, name: string | null): Pending[] {
    return this.items.filter((item) => item.session === session && (name === null || item.by === name));
  }

  /** Takes a prompt; `after_turn`: it is to wait for the turn that runs. */
  write(session: string, text: string, by: string, when: 'now' | 'after_turn'): void {
    const item = outbox.write(text, session, by, newUuid(), Date.now());
    this.#put(when === 'now' ? item : outbox.afterTurn(item));
    this.pump();
  }

  /** The writer says: send it now (under its key: it still runs once at most). */
  release(key: string): void {
    this.#change(key, (item) => outbox.release(item, Date.now()));
    this.pump();
  }

  wait(key: string): void {
    this.#change(key, outbox.afterTurn);
    this.pump();
  }

  discard(key: string): void {
    outbox.drop(this.store, key);
    this.items = this.items.filter((item) => item.key !== key);
  }

  /** Another tab has dealt with it. */
  elsewhere(key: string, value: string | null): void {
    if (value === null) this.items = this.items.filter((item) => item.key !== key || item.state.is === 'accepted');
  }

  reconnected(epoch: string): void {
    for (const item of this.items) this.#put(outbox.reconnected(item, epoch, Date.now()));
    this.pump();
  }

  /** Sends whatever may go now. Called whenever something changed that may let one go. */
  pump(): void {
    this.#settleAccepted();
    const identity = this.line.identity();
    if (identity === null) return;
    const blocked = new Set<string>();
    for (const item of this.items) {
      const due = !blocked.has(item.session) && outbox.isDue(item, identity.name, this.line.busy(item.session), Date.now());
      blocked.add(item.session);
      if (due) void this.#send(item, identity.epoch);
    }
    this.#wakeForNext();
  }

  async #send(item: Pending, epoch: string): Promise<void> {
    const { key, session, text } = item;
    this.#put(outbox.sent(item, epoch));
    try {
      const reply = await this.line.request({ type: 'prompt', session, text, key });
      if (reply.type === 'accepted') this.#change(key, (sent) => outbox.accepted(sent, reply.seq));
    } catch (error) {
      if (error instanceof Lost) return;
      if (error instanceof Refused) this.#change(key, (sent) => outbox.refused(sent, error.body, Date.now()));
    }
    this.pump();
  }

  #settleAccepted(): void {
    const shown = (item: Pending) => item.state.is === 'accepted' && this.line.head(item.session) >= item.state.seq;
    if (this.items.some(shown)) this.items = this.items.filter((item) => !shown(item));
  }

  #wakeForNext(): void {
    clearTimeout(this.#timer);
    const waits = this.items.flatMap((item) => (item.state.is === 'ready' ? [item.state.not_before_ms - Date.now()] : []));
    const next = Math.min(...waits.filter((ms) => ms > 0));
    if (Number.isFinite(next)) this.#timer = setTimeout(() => this.pump(), next + 50);
  }

  #change(key: string, change: (item: Pending) => Pending): void {
    const item = this.items.find((candidate) => candidate.key === key);
    if (item !== undefined) this.#put(change(item));
  }

  #put(item: Pending): void {
    const known = this.items.some((other) => other.key === item.key);
    this.items = known ? this.items.map((other) => (other.key === item.key ? item : other)) : [...this.items, item];
    this.unkept = !outbox.keep(this.store, item);
  }
}
