// Starts the real gateway for a browser test, on a free port of the loopback and in a data folder of its own.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Role, SessionState } from '../../src/wire/types';

/** A start that takes longer has failed. */
const START_MS = 20_000;
/** Turns that a test left running are stopped at its end; one that takes longer is stuck. */
const STOPPED_MS = 20_000;
/** Between two looks at a session. */
const LOOK_MS = 50;
const LISTENS = /listens on (\S+?),/;
const LINK = /^(http:\/\/\S+?)(?:#token=(\S+))?$/;

export class Gateway {
  readonly #data = mkdtempSync(join(tmpdir(), 'breakglass-browser-'));
  readonly #tokens = new Map<string, string>();
  #child: ChildProcess | null = null;
  /** Where it listens; the same again after `kill`. */
  listens = '127.0.0.1:0';
  /** Where people find the page. */
  url = '';
  /** The link that signs in; only the first start prints one. */
  link = '';

  /** `settings`: more of the gateway's variables. */
  constructor(private readonly settings: NodeJS.ProcessEnv = {}) {}

  /** Starts it; again after `kill`, on the same port, as a supervisor would. */
  async start(): Promise<void> {
    const child = spawn(binary(), ['serve'], { env: this.#environment(), stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    const printed = await announcement(child);
    this.listens = printed.listens;
    this.url = printed.url.replace(/\/$/, '');
    if (printed.token === undefined) return;
    this.link = `${printed.url}#token=${printed.token}`;
    this.#tokens.set('first', printed.token);
  }

  /** The link that signs `name` in, who is made a `role` when first asked for. */
  invite(name: string, role: Role): string {
    return `${this.url}/#token=${this.#token(name, role)}`;
  }

  revoke(name: string): void {
    this.#command('token', 'revoke', name);
    this.#tokens.delete(name);
  }

  /** Its public key, as somebody on its machine prints it. */
  key(): string {
    return this.#command('key');
  }

  /** Takes away for good what an event said, as somebody on its machine may. */
  redact(session: string, seq: number, reason: string): void {
    this.#command('redact', session, String(seq), '--reason', reason);
  }

  /** A session with the drill agent, made by somebody who is not in a browser. */
  async session(title: string, by = 'first'): Promise<string> {
    const made = (await this.call(by, 'POST', '/api/sessions', { title, agent: 'drill' })) as SessionState;
    return made.session;
  }

  async prompt(session: string, text: string, by = 'first'): Promise<void> {
    await this.call(by, 'POST', `/api/sessions/${session}/prompts`, { text, key: randomUUID() });
  }

  /** Waits until nothing runs in `session`. */
  async idle(session: string, within_ms = START_MS): Promise<void> {
    const until_ms = Date.now() + within_ms;
    while (((await this.call('first', 'GET', `/api/sessions/${session}`)) as SessionState).turn !== null) {
      if (Date.now() > until_ms) throw new Error(`a turn of ${session} still runs after ${within_ms} ms`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** A turn from its prompt to its end. */
  async turn(session: string, text: string, by = 'first'): Promise<void> {
    await this.prompt(session, text, by);
    await this.idle(session, 60_000);
  }

  async call(by: string, method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`http://${this.listens}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token(by, 'operator')}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** As the kernel does when memory is short: no warning, no goodbye. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === null || !runs(child)) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** Ends every turn first: those outlive the gateway. */
  async close(): Promise<void> {
    if (this.#child !== null && !runs(this.#child)) await this.start();
    const { sessions } = (await this.call('first', 'GET', '/api/sessions?limit=200')) as { sessions: SessionState[] };
    for (const { session, turn } of sessions) {
      if (turn === null) continue;
      // It may have ended meanwhile.
      await this.call('first', 'POST', `/api/sessions/${session}/cancel`).catch(() => undefined);
      await this.idle(session, STOPPED_MS);
    }
    await this.kill('SIGTERM');
    rmSync(this.#data, { recursive: true, force: true });
  }

  #token(name: string, role: Role): string {
    const known = this.#tokens.get(name);
    if (known !== undefined) return known;
    const made = this.#command('token', 'add', name, '--role', role).trim().split('\n').at(-1)!;
    this.#tokens.set(name, made);
    return made;
  }

  #command(...words: string[]): string {
    const done = spawnSync(binary(), words, { env: this.#environment(), encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`breakglass ${words.join(' ')}: ${done.stderr}`);
    return done.stdout;
  }

  #environment(): NodeJS.ProcessEnv {
    const quiet = { BREAKGLASS_LOG: process.env['BREAKGLASS_LOG'] ?? 'warn' };
    return { ...process.env, ...quiet, BREAKGLASS_LISTEN: this.listens, BREAKGLASS_DATA: this.#data, ...this.settings };
  }
}

function binary(): string {
  const path = process.env['BREAKGLASS_BIN'];
  if (path === undefined) throw new Error('set BREAKGLASS_BIN to the gateway: target/debug/breakglass');
  return path;
}

function runs(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function announcement(child: ChildProcess): Promise<{ listens: string; url: string; token: string | undefined }> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('the gateway printed no link')), START_MS);
    let listens = '';
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the gateway ended with status ${code}`)));
    // The reader stays, so that the gateway never blocks on a full pipe.
    createInterface({ input: child.stdout! }).on('line', (line) => {
      listens = LISTENS.exec(line)?.[1] ?? listens;
      const match = LINK.exec(line.trim());
      if (match === null) return;
      clearTimeout(late);
      resolve({ listens, url: match[1]!, token: match[2] });
    });
  });
}
