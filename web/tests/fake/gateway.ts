// A gateway in memory that speaks the wire of docs/protocol.md as far as the page uses it, and that can be told to
// misbehave. For development (`npm run dev`) and for the fault tests; the real one is tested in tests/browser.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { Request, Role } from '../../src/wire/types';
import { FakeSession } from './log.ts';
import { search } from './search.ts';

interface Client {
  socket: WebSocket;
  name: string;
  role: Role;
  /** The last seq sent, by attached session. */
  attached: Map<string, number>;
  watches: boolean;
}

export interface Faults {
  /** New connections and requests are not answered at all. */
  unreachable: boolean;
  /** Connections stay open, and nothing is sent any more. */
  frozen: boolean;
  /** Prompts are carried out, but the connection breaks before the answer. */
  breakBeforeAccepted: boolean;
  /** The search answers 503. */
  searchFails: boolean;
  /** So many records are not indexed yet. */
  searchBehind: number;
  /** Nothing after this seq is sent, and no `caught_up`, until `replayRest`. */
  replayUntil: number | null;
}

export class FakeGateway {
  epoch = randomUUID();
  readonly sessions = new Map<string, FakeSession>();
  readonly faults: Faults = { unreachable: false, frozen: false, breakBeforeAccepted: false, searchFails: false, searchBehind: 0, replayUntil: null };
  /** Token to person. */
  readonly tokens = new Map<string, { name: string; role: Role }>([
    ['ana-token', { name: 'ana', role: 'operator' }],
    ['ben-token', { name: 'ben', role: 'operator' }],
    ['aud-token', { name: 'aud', role: 'auditor' }],
    ['vic-token', { name: 'vic', role: 'viewer' }],
  ]);
  /** Every prompt that was run, for "once and only once". */
  readonly ran: string[] = [];
  /** Every search that was asked. */
  readonly searched: string[] = [];
  readonly #clients = new Set<Client>();
  readonly #server = new WebSocketServer({ noServer: true, handleProtocols: () => 'breakglass.v1' });

  /** Whether the request was for the gateway. */
  http(request: IncomingMessage, response: ServerResponse): boolean {
    const url = new URL(request.url ?? '/', 'http://fake');
    if (!url.pathname.startsWith('/api/')) return false;
    if (this.faults.unreachable) request.socket.destroy();
    else void this.#api(request, response, url);
    return true;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const person = this.#person(request);
    if (this.faults.unreachable) return void socket.destroy();
    if (person === null) return void socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#connected({ socket: ws, ...person, attached: new Map(), watches: false }));
  }

  session(title: string, by = 'ana', agent = 'drill', id: string = randomUUID()): FakeSession {
    const session = new FakeSession(id, title, by, agent, (changed) => this.#changed(changed));
    this.sessions.set(id, session);
    this.#changed(session);
    return session;
  }

  /** Breaks every connection without a word, as a network does. */
  breakAll(): void {
    for (const client of this.#clients) client.socket.terminate();
  }

  closeAll(code: number): void {
    for (const client of this.#clients) client.socket.close(code);
  }

  restart(reconnect_ms: number): void {
    for (const client of this.#clients) {
      this.#send(client, { type: 'restarting', reconnect_ms });
      client.socket.close(1012);
    }
  }

  /** As if restored from a backup that lacks everything. */
  newEpoch(): void {
    this.epoch = randomUUID();
    for (const session of this.sessions.values()) session.events.length = 0;
    this.breakAll();
  }

  revoke(name: string): void {
    for (const [token, person] of this.tokens) if (person.name === name) this.tokens.delete(token);
    for (const client of this.#clients) if (client.name === name) client.socket.close(4401);
  }

  close(): void {
    for (const session of this.sessions.values()) session.close();
    this.breakAll();
    this.#server.close();
  }

  #person(request: IncomingMessage): { name: string; role: Role } | null {
    const cookie = /(?:^|; )breakglass=([^;]*)/.exec(request.headers.cookie ?? '')?.[1];
    return this.tokens.get(cookie ?? '') ?? null;
  }

  #connected(client: Client): void {
    this.#clients.add(client);
    client.socket.on('close', () => {
      this.#clients.delete(client);
      for (const session of client.attached.keys()) this.#presence(session);
    });
    client.socket.on('message', (data) => this.#request(client, JSON.parse(String(data)) as Request & { id?: number }));
    this.#send(client, {
      type: 'hello',
      protocol: 1,
      server: 'fake 0.0.0',
      epoch: this.epoch,
      name: client.name,
      role: client.role,
      limits: { max_frame: 1_048_576, max_prompt: 262_144, max_attached: 256 },
      agents: [
        { name: 'claude', available: false },
        { name: 'drill', available: true },
      ],
    });
  }

  #request(client: Client, request: Request & { id?: number }): void {
    const id = request.id;
    const reply = (frame: object) => this.#send(client, id === undefined ? frame : { ...frame, id });
    const refuse = (code: string, message: string, more: object = {}) => reply({ type: 'error', code, message, ...more });
    const writes = ['create', 'prompt', 'cancel'].includes(request.type);
    if (writes && client.role !== 'operator') return refuse('forbidden', 'only operators may do that');
    const session = 'session' in request ? this.sessions.get(request.session ?? '') : undefined;
    if (session === undefined && ['attach', 'prompt', 'cancel'].includes(request.type)) return refuse('not_found', 'no such session');
    switch (request.type) {
      case 'ping':
        return reply({ type: 'pong' });
      case 'watch':
        client.watches = true;
        reply({ type: 'watching' });
        for (const each of this.sessions.values()) this.#send(client, { type: 'session', state: this.#state(each) });
        return reply({ type: 'watching_live' });
      case 'create': {
        const made = session ?? this.session(request.title ?? 'Untitled', client.name, request.agent ?? 'drill', request.session ?? undefined);
        return reply({ type: 'created', session: made.session, state: this.#state(made) });
      }
      case 'attach':
        return this.#attach(client, session!, request, reply, refuse);
      case 'detach':
        client.attached.delete(request.session);
        this.#presence(request.session);
        return reply({ type: 'detached', session: request.session });
      case 'prompt':
        return this.#prompt(client, session!, request, reply, refuse);
      case 'cancel': {
        const running = session!.turn;
        if (running === null || (request.turn && request.turn !== running.turn)) return refuse('conflict', 'no such turn runs');
        reply({ type: 'cancelling', session: session!.session, turn: running.turn });
        return session!.cancel(client.name);
      }
      default:
        return refuse('bad_request', 'unknown type');
    }
  }

  #attach(client: Client, session: FakeSession, request: Request & { type: 'attach' }, reply: Reply, refuse: Refuse): void {
    const head = session.head;
    const after = request.tail == null ? (request.after ?? 0) : Math.max(0, head - request.tail);
    if ((request.epoch && request.epoch !== this.epoch) || after > head) {
      return refuse('epoch_changed', 'this log is another one', { epoch: this.epoch, head });
    }
    client.attached.set(session.session, after);
    reply({ type: 'attached', session: session.session, epoch: this.epoch, head, from: after + 1, state: this.#state(session) });
    this.#pushTo(client, session);
    if (this.faults.replayUntil === null) this.#send(client, { type: 'caught_up', session: session.session, seq: head });
    this.#presence(session.session);
  }

  /** Sends what `replayUntil` held back. */
  replayRest(): void {
    this.faults.replayUntil = null;
    for (const client of this.#clients) {
      for (const id of client.attached.keys()) {
        const session = this.sessions.get(id)!;
        this.#pushTo(client, session);
        this.#send(client, { type: 'caught_up', session: id, seq: session.head });
      }
    }
  }

  #prompt(client: Client, session: FakeSession, request: Request & { type: 'prompt' }, reply: Reply, refuse: Refuse): void {
    const known = session.keys.get(request.key);
    if (known !== undefined && known.text !== request.text) return refuse('conflict', 'the key was used for another prompt');
    if (known !== undefined) return reply({ type: 'accepted', ...known, text: undefined, duplicate: true });
    if (session.turn !== null) return refuse('busy', 'a turn is running', { ...session.turn });
    this.ran.push(request.text);
    const accepted = session.prompt(request.text, client.name, request.key);
    if (this.faults.breakBeforeAccepted) {
      this.faults.breakBeforeAccepted = false;
      return client.socket.terminate();
    }
    reply({ type: 'accepted', ...accepted, duplicate: false });
  }

  #changed(session: FakeSession): void {
    for (const client of this.#clients) {
      this.#pushTo(client, session);
      if (client.watches) this.#send(client, { type: 'session', state: this.#state(session) });
    }
  }

  #pushTo(client: Client, session: FakeSession): void {
    const sent = client.attached.get(session.session);
    if (sent === undefined) return;
    const until = this.faults.replayUntil ?? session.head;
    for (const event of session.events.slice(sent, until)) this.#send(client, { type: 'event', ...event });
    client.attached.set(session.session, Math.max(sent, until));
  }

  #presence(session: string): void {
    const here = [...this.#clients].filter((client) => client.attached.has(session));
    const names = new Map(here.map((client) => [client.name, client]));
    const viewers = [...names.values()].map(({ name, role }) => ({
      name,
      role,
      connections: here.filter((client) => client.name === name).length,
    }));
    for (const client of here) this.#send(client, { type: 'presence', session, viewers });
  }

  #state(session: FakeSession) {
    return session.state([...this.#clients].filter((client) => client.attached.has(session.session)).length);
  }

  #send(client: Client, frame: object): void {
    if (this.faults.frozen || client.socket.readyState !== WebSocket.OPEN) return;
    client.socket.send(JSON.stringify(frame));
  }

  async #api(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const body = (await readJson(request)) as { token?: string; title?: string; archived?: boolean };
    const answer = (status: number, value?: object, headers: { [name: string]: string } = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(value === undefined ? undefined : JSON.stringify(value));
    };
    const fail = (status: number, code: string) => answer(status, { error: { code, message: code } });
    if (url.pathname === '/api/login') {
      if (!this.tokens.has(body.token ?? '')) return fail(401, 'unauthorized');
      return answer(204, undefined, { 'set-cookie': `breakglass=${body.token}; HttpOnly; SameSite=Strict; Path=/` });
    }
    if (url.pathname === '/api/logout') return answer(204, undefined, { 'set-cookie': 'breakglass=; Max-Age=0; Path=/' });
    const person = this.#person(request);
    if (person === null) return fail(401, 'unauthorized');
    if (url.pathname === '/api/me') return answer(200, person);
    if (url.pathname === '/api/presets') return answer(200, { presets: [{ label: 'Disk', prompt: 'Check the disks.' }] });
    if (url.pathname === '/api/search') {
      this.searched.push(url.search);
      if (this.faults.searchFails) return fail(503, 'unavailable');
      const page = search(this.sessions.values(), url.searchParams, this.faults.searchBehind);
      return page === null ? fail(400, 'bad_request') : answer(200, page);
    }
    const [, , , id = '', what] = url.pathname.split('/');
    const session = this.sessions.get(id);
    if (session === undefined) return fail(404, 'not_found');
    if (what === 'events') {
      if (url.searchParams.get('epoch') !== this.epoch) return fail(409, 'epoch_changed');
      const before = Number(url.searchParams.get('before'));
      const limit = Number(url.searchParams.get('limit'));
      const events = session.events.slice(Math.max(0, before - 1 - limit), before - 1);
      return answer(200, { events, head: session.head, epoch: this.epoch });
    }
    if (what === 'checkpoint') {
      if (session.head === 0) return fail(404, 'not_found');
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
      return void response.end(`fake/sessions/${id}\n${session.head}\nroot=\n\n— fake c2lnbmF0dXJl\n`);
    }
    if (what === 'export') return answer(200, session.events);
    if (request.method === 'PATCH') {
      if (typeof body.title === 'string') session.title = body.title;
      if (typeof body.archived === 'boolean') session.archived = body.archived;
      this.#changed(session);
      return answer(200, this.#state(session));
    }
    fail(404, 'not_found');
  }
}

type Reply = (frame: object) => void;
type Refuse = (code: string, message: string, more?: object) => void;

async function readJson(request: IncomingMessage): Promise<object> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  try {
    return JSON.parse(text) as object;
  } catch {
    return {};
  }
}
