// What the address says. Everything is in the fragment: it is the only part that never reaches a log.
//   #token=TOKEN          sign in with it
//   #/SESSION             show that session
//   #/SESSION/SEQ         show it at that event
//   #SEQ                  the event in the session that is open
//   #search?q=WORDS&...   the events of all sessions that match
import { isUuid } from '../wire/ids';
import { parseCriteria, type Criteria } from './criteria';

export type Route =
  | { to: 'home' }
  | { to: 'sign_in'; token: string }
  | { to: 'session'; session: string; seq: number | null }
  | { to: 'event'; seq: number }
  | { to: 'search'; criteria: Criteria };

export function parseRoute(hash: string): Route {
  const fragment = hash.replace(/^#/, '');
  if (fragment.startsWith('token=')) return { to: 'sign_in', token: decode(fragment.slice('token='.length)) };
  if (/^search(\?|$)/.test(fragment)) return { to: 'search', criteria: parseCriteria(fragment.slice('search?'.length)) };
  const [empty, session = '', event] = fragment.split('/');
  if (empty === '' && isUuid(session)) return { to: 'session', session, seq: parseSeq(event) };
  const seq = parseSeq(fragment);
  return seq === null ? { to: 'home' } : { to: 'event', seq };
}

export function sessionHash(session: string, seq: number | null = null): string {
  return seq === null ? `#/${session}` : `#/${session}/${seq}`;
}

function parseSeq(text: string | undefined): number | null {
  return text !== undefined && /^[1-9][0-9]{0,15}$/.test(text) ? Number(text) : null;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
