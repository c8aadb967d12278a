// What a closed connection means (protocol.md section 3, "Close codes"). Pure.

export type Verdict =
  /** Come back, after a back-off that starts at the attempt numbered `from_attempt` at least. */
  | { then: 'reconnect'; from_attempt: number }
  /** The credentials are expired or revoked: come back after signing in. */
  | { then: 'sign_in' }
  /** The gateway did not understand this page: coming back as we are would end the same way. */
  | { then: 'stop'; why: string };

/** "Too many requests" is answered with a long wait at once. */
const TOO_MANY_FROM_ATTEMPT = 5;

export function verdict(code: number): Verdict {
  switch (code) {
    case 4401:
      return { then: 'sign_in' };
    case 1003:
    case 1007:
      return { then: 'stop', why: `the gateway could not read what this page sent (close code ${code})` };
    case 1009:
      return { then: 'stop', why: 'this page sent something that the gateway finds too big (close code 1009)' };
    case 4429:
      return { then: 'reconnect', from_attempt: TOO_MANY_FROM_ATTEMPT };
    default:
      return { then: 'reconnect', from_attempt: 0 };
  }
}
