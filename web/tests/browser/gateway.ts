// Starts the real gateway for a browser test, on a free port of the loopback and in a data folder of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A start that takes longer has failed. */
const START_MS = 20_000;
const LINK = /^(http:\/\/\S+?)(?:#token=(\S+))?$/;

export class Gateway {
  readonly #data = mkdtempSync(join(tmpdir(), 'breakglass-browser-'));
  #child: ChildProcess | null = null;
  #listen = '127.0.0.1:0';
  /** Where the page is, without the token. */
  url = '';
  /** The link that signs in; only the first start prints one. */
  link = '';

  /** Starts it; again after `kill`, on the same port, as a supervisor would. */
  async start(): Promise<void> {
    const binary = process.env['BREAKGLASS_BIN'];
    if (binary === undefined) throw new Error('set BREAKGLASS_BIN to the gateway: target/debug/breakglass');
    const child = spawn(binary, ['serve'], {
      env: { ...process.env, BREAKGLASS_LISTEN: this.#listen, BREAKGLASS_DATA: this.#data },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    const printed = await firstLink(child);
    this.url = printed.url;
    if (printed.token !== undefined) this.link = `${printed.url}#token=${printed.token}`;
    this.#listen = new URL(printed.url).host;
  }

  /** As the kernel does when memory is short: no warning, no goodbye. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  async close(): Promise<void> {
    await this.kill('SIGTERM');
    rmSync(this.#data, { recursive: true, force: true });
  }
}

function firstLink(child: ChildProcess): Promise<{ url: string; token: string | undefined }> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('the gateway printed no link')), START_MS);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the gateway ended with status ${code}`)));
    // The reader stays, so that the gateway never blocks on a full pipe.
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const match = LINK.exec(line.trim());
      if (match === null) return;
      clearTimeout(late);
      resolve({ url: match[1]!, token: match[2] });
    });
  });
}
