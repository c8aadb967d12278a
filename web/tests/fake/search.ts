// The fake gateway's search: every word must occur; the newest first. As much of /api/search as the page uses.
import type { EventRecord } from '../../src/wire/types';
import type { FakeSession } from './log.ts';

interface Found {
  session: FakeSession;
  event: EventRecord;
  text: string;
}

const PAGE = 30;

/** The answer to `/api/search?query`; null: the cursor or the search is none. */
export function search(sessions: Iterable<FakeSession>, query: URLSearchParams, behind: number): object | null {
  const words = (query.get('q') ?? '').toLowerCase().replaceAll('"', '').split(/\s+/).filter((word) => word !== '');
  const at = Number(query.get('cursor') ?? 0);
  if (!Number.isSafeInteger(at) || query.size === 0) return null;
  const found: Found[] = [];
  for (const session of sessions) {
    for (const event of session.events) {
      const text = textOf(event);
      if (words.every((word) => text.toLowerCase().includes(word)) && passes(session, event, query)) found.push({ session, event, text });
    }
  }
  found.sort((a, b) => (a.event.time < b.event.time ? 1 : a.event.time > b.event.time ? -1 : b.event.seq - a.event.seq));
  const page = found.slice(at, at + PAGE);
  return {
    type: 'search',
    hits: page.map((hit) => asHit(hit, words)),
    ...(found.length > at + PAGE ? { next: String(at + PAGE) } : {}),
    behind,
  };
}

function textOf(event: EventRecord): string {
  const body = event as unknown as { [field: string]: unknown };
  const parts = [body['text'], body['input'], body['output'], body['result'], body['error']];
  return parts.filter((part) => part !== undefined).map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ');
}

function passes(session: FakeSession, event: EventRecord, query: URLSearchParams): boolean {
  const by = (event as { by?: string }).by;
  const kinds = query.get('kind')?.split(',') ?? [event.kind];
  const [from, to] = [query.get('from') ?? '', query.get('to') ?? '9'];
  return (
    kinds.includes(event.kind) &&
    (query.get('by') ?? by) === by &&
    (query.get('session') ?? session.session) === session.session &&
    event.time >= from &&
    event.time <= to
  );
}

function asHit({ session, event, text }: Found, words: string[]): object {
  const word = words[0] ?? '';
  const at = word === '' ? 0 : text.toLowerCase().indexOf(word);
  const snippet = [
    { text: text.slice(Math.max(0, at - 60), at) },
    { text: text.slice(at, at + word.length), hit: true },
    { text: text.slice(at + word.length, at + word.length + 120) },
  ].filter((part) => part.text !== '');
  const { by } = event as { by?: string };
  return { session: session.session, title: session.title, seq: event.seq, turn: event.turn, time: event.time, kind: event.kind, ...(by ? { by } : {}), snippet };
}
