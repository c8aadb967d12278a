// What to do next after a turn failed, by the gateway's words for it (protocol.md, `error`). Pure.

const STEPS: [RegExp, string][] = [
  [/^turn timed out after /, 'Everything that it had started was ended. Ask for a smaller step, or give turns more time (BREAKGLASS_TURN_TIMEOUT_SECONDS).'],
  [/^the turn was lost: /, 'Look at what it did last before going on: that may be half done. The conversation is kept.'],
  [/^the agent could not be started: /, 'See that the agent’s program is installed and may run on the gateway’s machine, or use a session with another agent.'],
  [/\b(?:401|403|authentication|unauthorized|invalid api key|please run \/login)\b/i, 'The agent is not signed in to its API: mend that on the gateway’s machine, then send the prompt again.'],
  [/\b(?:ECONN\w+|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|connection (?:refused|reset|error)|network|overloaded|rate limit\w*|5\d\d)\b/i, 'The agent’s API cannot be reached, or is overloaded. The conversation is kept: send the prompt again when it is back.'],
];

export function nextStep(error: string): string {
  const found = STEPS.find(([words]) => words.test(error));
  return found?.[1] ?? 'The conversation is kept: send another prompt to go on.';
}
