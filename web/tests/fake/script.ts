// What the fake agent does with a prompt. Directives in the prompt:
//   [[events:N]]   N short texts        [[pace:MS]]   the time between two steps
//   [[tools]]      one of each tool     [[hostile]]   what an attacker would have the agent say
//   [[fail]]       the turn fails       [[retry]]     the agent's API is overloaded for a while
// Anything else is a short, ordinary turn.

import type { Outcome } from '../../src/wire/types';

export interface Step {
  wait_ms: number;
  body: object;
  outcome?: Outcome;
}

export function* script(prompt: string): Generator<Step> {
  const pace_ms = Number(/\[\[pace:(\d+)\]\]/.exec(prompt)?.[1] ?? 30);
  for (const body of bodies(prompt)) {
    if ('outcome' in body) yield { wait_ms: 0, body: {}, outcome: body.outcome };
    else yield { wait_ms: pace_ms, body };
  }
}

function* bodies(prompt: string): Generator<object | { outcome: Outcome }> {
  const events = Number(/\[\[events:(\d+)\]\]/.exec(prompt)?.[1] ?? 0);
  for (let n = 1; n <= events; n++) yield { kind: 'text', text: `Event ${n} of ${events}.` };
  if (prompt.includes('[[tools]]')) yield* tools();
  if (prompt.includes('[[hostile]]')) yield* hostile();
  if (prompt.includes('[[retry]]')) {
    yield { kind: 'status', state: 'retrying', detail: 'The API is overloaded (529).', attempt: 1, max_attempts: 10, wait_ms: 2000 };
  }
  if (prompt.includes('[[fail]]')) {
    yield { kind: 'error', error: 'claude: cannot reach the API: connect ECONNREFUSED 10.0.0.1:443\nexit 1' };
    yield { outcome: 'error' };
    return;
  }
  if (events > 0) return;
  yield { kind: 'text', text: 'I will look at the disks first.' };
  yield { kind: 'tool', name: 'Bash', input: { command: 'df -h /', description: 'Free space' }, ref: `t${Math.random()}a` };
  yield { kind: 'text', text: `**Done.** You asked: ${prompt}` };
  yield { kind: 'result', is_error: false, result: `**Done.** You asked: ${prompt}`, duration_ms: 1200 };
}

const DF = 'Filesystem      Size  Used Avail Use% Mounted on\n/dev/nvme0n1p2   98G   97G     0 \u001b[1;31m100%\u001b[0m /\ntmpfs            16G  1.2M   16G   1% /run\n';
const PROSE = `The root file system is **full**. Most of it is \`/var/log/journal\`:

| path | size |
| --- | --- |
| /var/log/journal | 71 GB |
| /var/lib/docker | 12 GB |

I will:

1. shrink the journal to 1 GB,
2. check that PostgreSQL can write again,
3. add a limit so that it does not come back.

\`\`\`ini
[Journal]
SystemMaxUse=1G
\`\`\`

See [the manual](https://www.freedesktop.org/software/systemd/man/journald.conf.html).`;

function* tools(): Generator<object> {
  yield { kind: 'text', text: 'I will look at the disks first.' };
  yield* tool('Bash', { command: 'df -h', description: 'Free space on every file system' }, DF);
  yield { kind: 'text', text: PROSE };
  yield* tool('TodoWrite', {
    todos: [
      { content: 'Find what fills the disk', status: 'completed' },
      { content: 'Shrink the journal', status: 'in_progress' },
      { content: 'Check PostgreSQL', status: 'pending' },
    ],
  }, 'ok');
  yield* tool('Read', { file_path: '/etc/systemd/journald.conf', limit: 40 }, '[Journal]\n#SystemMaxUse=\n');
  yield* tool('Edit', {
    file_path: '/etc/systemd/journald.conf',
    old_string: '[Journal]\n#Storage=auto\n#SystemMaxUse=\n#SystemKeepFree=\n',
    new_string: '[Journal]\n#Storage=auto\nSystemMaxUse=1G\n#SystemKeepFree=\n',
  }, 'updated');
  yield* tool('Grep', { pattern: 'No space left', path: '/var/log' }, Array.from({ length: 80 }, (_, n) => `/var/log/postgresql/main.log:${n + 1}: PANIC: could not write: No space left on device`).join('\n'));
  yield* tool('Bash', { command: 'set -e\nfor unit in postgresql nginx; do\n  systemctl restart "$unit"\ndone' }, 'Job for postgresql.service failed.\nSee "systemctl status postgresql.service" for details.', true);
  yield* tool('mcp__pager__notify', { team: 'database', urgency: 3, nested: { a: [1, 2, { b: null }] } }, '{"ok":true}');
  yield { kind: 'text', text: 'PostgreSQL did **not** come back. Look at `journalctl -u postgresql` before anything else.' };
}

function* tool(name: string, input: object, output: string, is_error = false): Generator<object> {
  const ref = `toolu_${Math.random().toString(36).slice(2)}`;
  yield { kind: 'tool', name, input, ref };
  yield { kind: 'tool_result', is_error, output, bytes: Buffer.byteLength(output), ref };
}

function* hostile(): Generator<object> {
  yield { kind: 'text', text: '<script>window.pwned=1</script><img src=x onerror="window.pwned=2"> [click](javascript:window.pwned=3) ![pixel](https://evil.example/pixel.png) <svg onload="window.pwned=4">' };
  yield { kind: 'text', text: 'abc \u202egnp.exe\u202c def \u200b\u200b zero' };
  yield { kind: 'text', text: { not: 'a string', at: ['all'] } };
  yield { kind: 'text', text: 'מצב הדיסק: מלא. يجب حذف السجلات.' };
  yield { kind: 'text', text: 'x'.repeat(900_000) };
  yield* tool('Bash', { command: 'echo \u202etxt.exe; rm -rf /tmp/\u200bx' }, `\u001b]0;title\u0007\u001b[2J<b>not html</b>\u001b[31mred\u001b[0m\n${'y'.repeat(60_000)}`);
  yield { kind: 'tool', name: { odd: true }, input: 'not an object', ref: 7 };
  yield { kind: 'status', state: 'unheard_of', detail: ['odd'] };
  yield { kind: 'kind_of_the_future', what: 'ever' };
  yield { kind: 'result', is_error: 'no', result: { a: 1 }, duration_ms: null };
}
