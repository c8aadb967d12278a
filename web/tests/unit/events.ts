// Makes logs for the tests: well-formed ones, as the gateway writes them.
import fc from 'fast-check';
import type { EventRecord } from '../../src/wire/types';

export const SESSION = '11111111-1111-4111-8111-111111111111';
export const OTHER = '22222222-2222-4222-8222-222222222222';

type Body = { kind: string; ref?: string; [field: string]: unknown };

/** Numbers bodies, turn by turn, as one session's log. */
export function logOf(turns: Body[][], session = SESSION): EventRecord[] {
  let seq = 0;
  return turns.flatMap((bodies, index) =>
    bodies.map((body) => {
      seq += 1;
      const time = new Date(Date.UTC(2026, 10, 21) + seq * 1_000).toISOString();
      return { session, seq, time, turn: `turn-${index}`, ...body } as unknown as EventRecord;
    }),
  );
}

export const user = (text = 'why?', by = 'ana'): Body => ({ kind: 'user', text, by, model: 'default' });
export const text = (value: unknown): Body => ({ kind: 'text', text: value });
export const tool = (ref: string, name = 'Bash', input: unknown = { command: 'ls' }): Body => ({ kind: 'tool', name, input, ref });
export const toolResult = (ref: string, output: unknown = 'ok', is_error: unknown = false): Body => ({
  kind: 'tool_result',
  is_error,
  output,
  bytes: 2,
  ref,
});
export const end = (outcome = 'ok'): Body => ({ kind: 'turn_end', outcome, exit_code: 0, duration_ms: 5 });

const ref = fc.constantFrom('a', 'b', 'c');
const anything = fc.oneof(fc.string(), fc.jsonValue());
const middle: fc.Arbitrary<Body> = fc.oneof(
  fc.record({ kind: fc.constant('text'), text: anything }),
  fc.record({ kind: fc.constant('tool'), name: anything, input: anything, ref }),
  fc.record({ kind: fc.constant('tool_result'), is_error: fc.boolean(), output: anything, bytes: anything, ref }),
  fc.record({ kind: fc.constant('session'), session_id: fc.string() }),
  fc.record({ kind: fc.constant('status'), state: anything, detail: anything }),
  fc.record({ kind: fc.constant('result'), is_error: anything, result: anything, duration_ms: anything }),
  fc.record({ kind: fc.constant('error'), error: anything }),
  fc.record({ kind: fc.constant('cancelled'), by: anything }),
  fc.record({ kind: fc.constant('redaction'), of: anything, by: anything, reason: anything }),
  fc.record({ kind: fc.constant('unheard_of'), field: anything }),
) as fc.Arbitrary<Body>;

const turn = fc.array(middle, { maxLength: 12 }).map((bodies) => [user(), ...bodies, end()]);

/** Any log: whole turns, and perhaps a last one that still runs. */
export const anyLog = fc
  .tuple(fc.array(turn, { maxLength: 5 }), fc.boolean())
  .map(([turns, running]) => logOf(running ? turns.map((bodies, index) => (index === turns.length - 1 ? bodies.slice(0, -1) : bodies)) : turns));
