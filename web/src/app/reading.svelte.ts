// Whether somebody reads the session on the screen, and what follows from it: how far they have read, and what they are
// told when they come back. Somebody reads while the page is visible and what it shows is live.
import type { OpenSession } from './open.svelte';
import { Seen } from './seen';
import type { Store } from '../socket/outbox';
import type { SessionState } from '../wire/types';

export class Reading {
  /** Rises whenever what was read changed: unread dots look again. */
  #version = $state(0);
  readonly #seen: Seen;
  #read: OpenSession | null = null;

  constructor(store: Store) {
    this.#seen = new Seen(store, Date.now());
  }

  isUnread(state: SessionState, epoch: string): boolean {
    void this.#version;
    return this.#seen.isUnread(state, epoch);
  }

  /** Says what is on the screen now; null when nobody can be reading. Called at least whenever that changes. */
  update(open: OpenSession | null): void {
    const reads = open?.live === true ? open : null;
    if (this.#read !== null && this.#read !== reads) this.#mark(this.#read);
    if (reads !== null) {
      if (this.#read !== reads) this.#cameBack(reads);
      this.#mark(reads);
    }
    this.#read = reads;
  }

  #cameBack(open: OpenSession): void {
    const left = open.epoch === null ? null : this.#seen.get(open.session, open.epoch);
    if (left !== null) open.cameBack(left, Date.now());
  }

  #mark(open: OpenSession): void {
    if (open.epoch === null || open.log.last < open.log.first) return;
    this.#seen.set(open.session, open.epoch, { seq: open.log.last, at_ms: Date.now() });
    this.#version += 1;
  }
}
