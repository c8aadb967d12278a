// Requests that wait for their reply, by the id that the page gave them.
import type { ErrorBody, Frame, Incoming } from '../wire/types';

/** The gateway said no. */
export class Refused extends Error {
  constructor(readonly body: ErrorBody) {
    super(typeof body.message === 'string' ? body.message : String(body.code));
  }
}

/** The connection went away first: nobody knows whether the request was carried out. */
export class Lost extends Error {
  constructor() {
    super('the connection was lost before the answer came');
  }
}

interface Waiting {
  resolve(frame: Frame): void;
  reject(error: Error): void;
}

export class Requests {
  #next = 1;
  readonly #waiting = new Map<number, Waiting>();

  takeId(): number {
    return this.#next++;
  }

  open(): [number, Promise<Frame>] {
    const id = this.takeId();
    return [id, new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))];
  }

  /** Whether `frame` was the reply to one of these. */
  settle(frame: Exclude<Incoming, { type: 'event' }>): boolean {
    if (typeof frame.id !== 'number') return false;
    const waiting = this.#waiting.get(frame.id);
    if (waiting === undefined) return false;
    this.#waiting.delete(frame.id);
    if (frame.type === 'error') waiting.reject(new Refused(frame));
    else waiting.resolve(frame);
    return true;
  }

  lost(): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const waiting of all) waiting.reject(new Lost());
  }
}
