// One WebSocket to the gateway that is opened again for ever. It owns liveness: it notices a dead connection within
// 30 s, and never claims to be live when it is not. It knows frames by their type only, and nothing of sessions.
import { parseFrame } from '../wire/parse';
import type { Frame, Hello, Incoming, Request } from '../wire/types';
import { backoffMs } from './backoff';
import { verdict } from './close';
import { Requests } from './requests';

/** Nothing heard for this long: ask. */
const QUIET_MS = 10_000;
/** Asked, and nothing heard for this long: dead. */
const PONG_MS = 10_000;
/** The same after the page was asleep, when somebody is looking and a dead connection is likely. */
const PONG_AFTER_SLEEP_MS = 4_000;
/** From opening a socket to `hello`: a phone network may swallow the attempt without a word. */
const HELLO_MS = 12_000;
/** A connection that lasted this long was a good one: the next back-off starts from the beginning. */
const GOOD_AFTER_MS = 5_000;
/** A planned restart is waited for as the gateway asks, but not longer than this. */
const RESTART_WAIT_MAX_MS = 60_000;

export type ConnectionState =
  | { is: 'idle' }
  | { is: 'connecting'; attempt: number }
  | { is: 'live'; since_ms: number }
  | { is: 'waiting'; until_ms: number; attempt: number; why: string }
  | { is: 'signed_out' }
  | { is: 'stopped'; why: string };

/** What `GET /api/me` says about an attempt that the gateway refused before the upgrade (browsers hide the reason). */
export type Probe = 'signed_in' | 'signed_out' | 'unreachable';

export interface Environment {
  open(): WebSocket;
  probe(): Promise<Probe>;
  random(): number;
}

export interface Listener {
  state(state: ConnectionState): void;
  hello(hello: Hello): void;
  frame(frame: Incoming): void;
}

type Timer = ReturnType<typeof setTimeout>;

export class Connection {
  #state: ConnectionState = { is: 'idle' };
  #socket: WebSocket | null = null;
  #attempt = 0;
  #wait: Timer | undefined;
  #pulse: Timer | undefined;
  #restart_ms: number | null = null;
  readonly #requests = new Requests();

  constructor(
    private readonly environment: Environment,
    private readonly listener: Listener,
  ) {}

  get state(): ConnectionState {
    return this.#state;
  }

  /** Connects now, whatever was being waited for. Also the way back from `signed_out` and `stopped`. */
  start(): void {
    if (this.#socket !== null) return;
    clearTimeout(this.#wait);
    this.#open();
  }

  stop(): void {
    clearTimeout(this.#wait);
    this.#abandon();
    this.#set({ is: 'idle' });
  }

  /** The network came back, or somebody looks at the page again: do not sit out a wait, and doubt what seems live. */
  nudge(): void {
    if (this.#state.is === 'waiting' && this.#restart_ms === null) this.start();
    if (this.#state.is === 'live') this.#ask(PONG_AFTER_SLEEP_MS);
  }

  /** Sends a request; the promise has its reply, or rejects with `Refused` or `Lost`. */
  request(request: Request): Promise<Frame> {
    const [id, reply] = this.#requests.open();
    this.#send({ ...request, id });
    return reply;
  }

  /** Sends a request whose reply is to come to the listener, in its place among the other frames. Its id. */
  post(request: Request): number {
    const id = this.#requests.takeId();
    this.#send({ ...request, id });
    return id;
  }

  #open(): void {
    this.#set({ is: 'connecting', attempt: this.#attempt });
    let socket: WebSocket;
    try {
      socket = this.environment.open();
    } catch {
      this.#comeBack('the browser refused to connect');
      return;
    }
    this.#socket = socket;
    socket.onmessage = (message) => this.#received(message.data);
    socket.onclose = (close) => this.#closed(close.code);
    this.#pulse = setTimeout(() => this.#lost('no answer'), HELLO_MS);
  }

  #received(data: unknown): void {
    const frame = typeof data === 'string' ? parseFrame(data) : null;
    this.#heard();
    if (frame === null) return;
    if (frame.type === 'hello') return this.#hello(frame);
    if (frame.type === 'restarting') this.#restart_ms = Math.min(frame.reconnect_ms, RESTART_WAIT_MAX_MS);
    this.#dispatch(frame);
  }

  #hello(hello: Hello): void {
    this.#restart_ms = null;
    this.#set({ is: 'live', since_ms: Date.now() });
    this.#heard();
    this.listener.hello(hello);
  }

  #dispatch(frame: Incoming): void {
    if (frame.type !== 'event' && this.#requests.settle(frame)) return;
    this.listener.frame(frame);
  }

  #heard(): void {
    if (this.#state.is !== 'live') return;
    clearTimeout(this.#pulse);
    this.#pulse = setTimeout(() => this.#ask(PONG_MS), QUIET_MS);
  }

  #ask(within_ms: number): void {
    clearTimeout(this.#pulse);
    this.request({ type: 'ping' }).catch(() => undefined);
    this.#pulse = setTimeout(() => this.#lost('the connection went silent'), within_ms);
  }

  #closed(code: number): void {
    const wasOpen = this.#state.is === 'live';
    const next = verdict(code);
    this.#abandon();
    if (next.then === 'sign_in') return this.#set({ is: 'signed_out' });
    if (next.then === 'stop') return this.#set({ is: 'stopped', why: next.why });
    this.#attempt = Math.max(this.#attempt, next.from_attempt);
    if (wasOpen) return this.#comeBack('the connection was closed');
    void this.#refused();
  }

  /** Closed before `hello`: it may be the network, or the credentials. Only a plain request tells which. */
  async #refused(): Promise<void> {
    this.#comeBack('the gateway does not answer');
    const answer = await this.environment.probe();
    if (this.#state.is !== 'waiting') return;
    if (answer !== 'signed_out') return;
    clearTimeout(this.#wait);
    this.#set({ is: 'signed_out' });
  }

  #lost(why: string): void {
    this.#abandon();
    this.#comeBack(why);
  }

  #comeBack(why: string): void {
    const planned_ms = this.#restart_ms;
    const wait_ms = planned_ms ?? backoffMs(this.#attempt, this.environment.random());
    this.#attempt += 1;
    this.#wait = setTimeout(() => {
      this.#restart_ms = null;
      this.#open();
    }, wait_ms);
    const reason = planned_ms === null ? why : 'the gateway restarts';
    this.#set({ is: 'waiting', until_ms: Date.now() + wait_ms, attempt: this.#attempt, why: reason });
  }

  #abandon(): void {
    clearTimeout(this.#pulse);
    const socket = this.#socket;
    this.#socket = null;
    if (this.#state.is === 'live' && Date.now() - this.#state.since_ms >= GOOD_AFTER_MS) this.#attempt = 0;
    this.#requests.lost();
    if (socket === null) return;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }

  #send(frame: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
    else this.#requests.lost();
  }

  #set(state: ConnectionState): void {
    this.#state = state;
    this.listener.state(state);
  }
}
