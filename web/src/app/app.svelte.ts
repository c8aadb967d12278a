// The page's state, and the way in for everything that changes it: frames from the gateway, and what people do.
import * as api from './api';
import { ApiError } from './api';
import { NextFrame } from './frames';
import { notifications } from './notifications.svelte';
import { isEpochChange, OpenSession } from './open.svelte';
import { Outgoing } from './outgoing.svelte';
import { parseRoute, sessionHash } from './route';
import { Reading } from './reading.svelte';
import { browserStore } from './storage';
import { runningTurn } from '../session/fold';
import * as lists from '../session/list';
import { Connection, type ConnectionState } from '../socket/connection';
import { keyOf, type Pending } from '../socket/outbox';
import { Lost, Refused } from '../socket/requests';
import type { Hello, Incoming, RunningTurn, SessionState } from '../wire/types';

/** The version of the wire that this page speaks. */
const PROTOCOL = 1;
/** An attach that was refused for the moment is tried again after this, unless the gateway says when. */
const ATTACH_AGAIN_MS = 5_000;
/** So many sessions keep what was shown of them, for a quick way back. */
const KEPT_OPEN = 8;

export type Auth = 'checking' | 'out' | 'in' | 'expired';

export class App {
  auth: Auth = $state('checking');
  authNote = $state('');
  hello: Hello | null = $state.raw(null);
  connection: ConnectionState = $state.raw({ is: 'idle' });
  list: lists.SessionList = $state.raw(lists.EMPTY_LIST);
  current: OpenSession | null = $state.raw(null);
  /** The event that an address asked for; the transcript goes there and clears it. */
  wanted: number | null = $state(null);
  visible = $state(!document.hidden);
  notice = $state('');
  /** A prompt that its writer wants to change; the composer takes it. */
  takenBack: Pending | null = $state.raw(null);

  readonly store = browserStore();
  readonly reading = new Reading(this.store);
  readonly outgoing: Outgoing;
  readonly #connection: Connection;
  readonly #open = new Map<string, OpenSession>();
  readonly #draw = new NextFrame(() => this.#drawn());
  #changes: SessionState[] = [];

  constructor() {
    this.#connection = new Connection(
      { open: () => new WebSocket(socketUrl(), 'breakglass.v1'), probe: api.probe, random: Math.random },
      { state: (state) => this.#connectionState(state), hello: (hello) => this.#hello(hello), frame: (frame) => this.#frame(frame) },
    );
    this.outgoing = new Outgoing(this.store, {
      request: (request) => this.#connection.request(request),
      identity: () => (this.live && this.hello !== null ? { name: this.hello.name, epoch: this.hello.epoch } : null),
      busy: (session) => !lists.isLive(this.list) || this.turnOf(session) !== null,
      head: (session) => this.#headOf(session),
    });
  }

  live = $derived(this.connection.is === 'live');
  name = $derived(this.hello?.name ?? null);
  operator = $derived(this.hello?.role === 'operator');
  mayExport = $derived(this.hello !== null && this.hello.role !== 'viewer');
  sessions = $derived(lists.inOrder(this.list));
  state: SessionState | null = $derived(this.current === null ? null : (this.list.sessions.get(this.current.session) ?? null));

  /** The turn that runs in `session`: by its log when that is live, else by the list. */
  turnOf(session: string): RunningTurn | null {
    const listed = this.list.sessions.get(session)?.turn ?? null;
    const open = this.current?.session === session ? this.current : null;
    if (open === null || !open.live) return listed;
    const turn = runningTurn(open.log);
    if (turn === null) return null;
    if (listed?.turn === turn.turn) return listed;
    return { turn: turn.turn, by: turn.prompt?.by ?? listed?.by ?? '', since: turn.prompt?.time ?? turn.events[0]?.time ?? '' };
  }

  async start(): Promise<void> {
    window.addEventListener('hashchange', () => void this.follow());
    window.addEventListener('online', () => this.#connection.nudge());
    window.addEventListener('offline', () => this.#connection.nudge());
    window.addEventListener('storage', (event) => {
      const key = keyOf(event.key);
      if (key !== null) this.outgoing.elsewhere(key, event.newValue);
    });
    document.addEventListener('visibilitychange', () => this.#visibility());
    if (!(await this.follow())) await this.#resume();
  }

  /** Goes where the address says. Returns whether that was to sign in. */
  async follow(): Promise<boolean> {
    const route = parseRoute(location.hash);
    if (route.to === 'sign_in') {
      history.replaceState(null, '', location.pathname + location.search);
      await this.signIn(route.token);
      return true;
    }
    if (route.to === 'session') {
      this.show(route.session);
      this.wanted = route.seq;
    }
    if (route.to === 'event') this.wanted = route.seq;
    if (route.to === 'home') this.#leave();
    return false;
  }

  async #resume(): Promise<void> {
    if ((await api.probe()) === 'signed_out') this.auth = 'out';
    else this.#signedIn();
  }

  async signIn(token: string): Promise<boolean> {
    this.authNote = '';
    try {
      await api.login(token.trim());
    } catch (error) {
      if (this.auth === 'checking') this.auth = 'out';
      this.authNote = signInProblem(error);
      return false;
    }
    this.#signedIn();
    return true;
  }

  async signOut(): Promise<void> {
    await api.logout().catch(() => undefined);
    this.#connection.stop();
    this.auth = 'out';
    this.authNote = 'You are signed out.';
  }

  #signedIn(): void {
    this.auth = 'in';
    this.#connection.stop();
    this.#connection.start();
  }

  reconnectNow(): void {
    this.#connection.start();
  }

  show(session: string): void {
    if (this.current?.session === session) return;
    this.#leave();
    const open = this.#open.get(session) ?? new OpenSession(session);
    this.#open.delete(session);
    this.#open.set(session, open);
    for (const old of [...this.#open.keys()].slice(0, -KEPT_OPEN)) this.#open.delete(old);
    this.current = open;
    open.away = null;
    if (this.live) this.#attach(open);
  }

  #leave(): void {
    const open = this.current;
    if (open === null) return;
    this.current = null;
    this.#updateReading();
    open.disconnected();
    if (this.live) this.#connection.request({ type: 'detach', session: open.session }).catch(() => undefined);
  }

  goTo(session: string): void {
    if (location.hash === sessionHash(session)) this.show(session);
    else location.hash = sessionHash(session);
  }

  /** Makes a session; the same `id` again is harmless. */
  async create(id: string, agent: string | null, title: string): Promise<void> {
    const named = title.trim() === '' ? {} : { title: title.trim() };
    await this.#connection.request({ type: 'create', session: id, ...(agent === null ? {} : { agent }), ...named });
    this.goTo(id);
  }

  async patch(session: string, change: { title?: string; archived?: boolean }): Promise<void> {
    try {
      const state = await api.patchSession(session, change);
      this.list = lists.changed(this.list, [state]);
    } catch (error) {
      this.#apiProblem(error, 'That could not be saved');
    }
  }

  async stop(): Promise<void> {
    const open = this.current;
    const turn = open === null ? null : this.turnOf(open.session);
    if (open === null || turn === null) return;
    open.stopping = turn.turn;
    await this.#sendStop(open);
  }

  async #sendStop(open: OpenSession): Promise<void> {
    const turn = open.stopping;
    if (turn === null || !this.live) return;
    try {
      await this.#connection.request({ type: 'cancel', session: open.session, turn });
    } catch (error) {
      // Lost: it is sent again when the connection is back. A conflict: the turn has ended by itself.
      if (error instanceof Lost) return;
      open.stopping = null;
      if (error instanceof Refused && error.body.code !== 'conflict') this.notice = `Not stopped: ${error.message}`;
    }
  }

  takeBack(item: Pending): void {
    this.outgoing.discard(item.key);
    this.takenBack = item;
  }

  async loadOlder(): Promise<void> {
    await this.#paging((open) => open.loadOlder());
  }

  async reach(seq: number): Promise<boolean> {
    return (await this.#paging((open) => open.reach(seq))) ?? false;
  }

  async #paging<T>(work: (open: OpenSession) => Promise<T>): Promise<T | null> {
    const open = this.current;
    if (open === null) return null;
    try {
      return await work(open);
    } catch (error) {
      if (isEpochChange(error) && this.live) this.#attach(open);
      else this.#apiProblem(error, 'Earlier events could not be loaded');
      return null;
    }
  }

  #apiProblem(error: unknown, what: string): void {
    if (error instanceof ApiError && error.status === 401) this.#signedOut();
    else this.notice = `${what}: ${error instanceof Error ? error.message : String(error)}.`;
  }

  #connectionState(state: ConnectionState): void {
    const wasLive = this.connection.is === 'live';
    this.connection = state;
    if (wasLive) {
      this.#draw.flush();
      this.#updateReading();
      this.current?.disconnected();
    }
    if (state.is === 'signed_out') this.#signedOut();
  }

  #signedOut(): void {
    this.auth = this.hello === null ? 'out' : 'expired';
  }

  #hello(hello: Hello): void {
    if (this.hello !== null && this.hello.epoch !== hello.epoch) this.notice = 'The log was restored from a backup: this page shows it anew.';
    if (hello.protocol !== PROTOCOL || (this.hello !== null && this.hello.server !== hello.server)) {
      this.notice = `The gateway is ${hello.server} now: reload this page to have the one that belongs to it.`;
    }
    this.hello = hello;
    this.auth = 'in';
    this.list = lists.watching(this.list);
    void this.#connection.request({ type: 'watch' }).catch(() => undefined);
    if (this.current !== null) {
      this.#attach(this.current);
      void this.#sendStop(this.current);
    }
    this.outgoing.reconnected(hello.epoch);
  }

  #attach(open: OpenSession): void {
    open.attach((request) => this.#connection.post(request));
  }

  #frame(frame: Incoming): void {
    switch (frame.type) {
      case 'event':
        return this.#event(frame);
      case 'attached':
        if (this.current?.session === frame.session && this.current.attached(Number(frame.id), frame)) this.#attach(this.current);
        return;
      case 'caught_up':
        if (this.current?.session === frame.session) this.current.caughtUp();
        return this.#draw.request();
      case 'presence':
        if (this.current?.session === frame.session && Array.isArray(frame.viewers)) this.current.viewers = frame.viewers;
        return;
      case 'session':
        this.#changes.push(frame.state);
        return this.#draw.request();
      case 'error':
        return this.#error(frame);
      default:
        return this.#listFrame(frame);
    }
  }

  #listFrame(frame: Incoming): void {
    if (frame.type === 'watching') {
      this.#draw.flush();
      this.list = lists.watching(this.list);
    }
    if (frame.type === 'watching_live') {
      this.#changesDrawn();
      this.list = lists.watchingLive(this.list);
      this.#draw.request();
    }
  }

  #event(frame: Incoming & { type: 'event' }): void {
    const open = this.current;
    if (open?.session !== frame.session) return;
    const { type: _, ...record } = frame;
    if (open.event(record as typeof frame) === 'gap') this.#attach(open);
    this.#draw.request();
  }

  #error(frame: Incoming & { type: 'error' }): void {
    const open = this.current;
    if (open?.awaits(frame.id) !== true) {
      this.notice = frame.message;
      return;
    }
    if (open.refused(frame)) this.#attach(open);
    if (frame.code !== 'rate_limited' && frame.code !== 'unavailable') return;
    setTimeout(() => {
      if (this.current === open && this.live && open.problem !== null) this.#attach(open);
    }, frame.retry_after_ms ?? ATTACH_AGAIN_MS);
  }

  #changesDrawn(): void {
    if (this.#changes.length === 0) return;
    const changes = this.#changes;
    this.#changes = [];
    const before = this.list;
    this.list = lists.changed(before, changes);
    for (const { state, turn } of lists.ended(before, changes)) this.#turnEnded(state, turn);
  }

  /** Calls who asked for the turn, and who has its session open, if they look elsewhere. */
  #turnEnded(state: SessionState, turn: RunningTurn): void {
    const concerns = turn.by === this.name || this.current?.session === state.session;
    if (!concerns) return;
    const title = state.title === '' ? 'Untitled' : state.title;
    notifications.ended(turn.turn, `The turn has ended: ${title}`, this.visible, () => this.goTo(state.session));
  }

  #drawn(): void {
    this.#changesDrawn();
    this.current?.flush();
    const open = this.current;
    if (open !== null && open.stopping !== null && open.live && runningTurn(open.log)?.turn !== open.stopping) open.stopping = null;
    this.#updateReading();
    this.outgoing.pump();
  }

  #updateReading(): void {
    this.reading.update(this.visible && this.live ? this.current : null);
  }

  #visibility(): void {
    this.#draw.flush();
    this.#updateReading();
    this.visible = !document.hidden;
    if (this.visible) this.#connection.nudge();
    this.#updateReading();
  }

  #headOf(session: string): number {
    const open = this.current?.session === session ? this.current.log.last : 0;
    return Math.max(open, this.list.sessions.get(session)?.head ?? 0);
  }
}

function socketUrl(): string {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return `${scheme}//${location.host}/ws`;
}

function signInProblem(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status === 401) return 'The gateway does not know this token, or it has been revoked.';
  if (error.status === 429) return 'Too many attempts. Wait a moment.';
  if (error.status === 0) return 'The gateway does not answer. Check the network and try again.';
  return error.message;
}
