// The gateway's HTTP face, as far as the page needs it (protocol.md section 4). The cookie is the credential.
import { asCount, asText, isObject, isRecord } from '../wire/parse';
import { isUuid } from '../wire/ids';
import type { EventRecord, Hit, SessionState } from '../wire/types';
import type { Probe } from '../socket/connection';
import { searchQuery, type Criteria } from './criteria';

/** No answer for this long: given up, and said so. */
const ANSWER_MS = 15_000;

export class ApiError extends Error {
  constructor(
    /** The HTTP status; 0 when no answer came. */
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export async function login(token: string): Promise<void> {
  await call('POST', '/api/login', { token });
}

/** Why `login` failed, and what to do. */
export function signInProblem(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status === 401) return 'The gateway does not know this token, or it has been revoked.';
  if (error.status === 429) return 'Too many attempts. Wait a moment.';
  if (error.status === 0) return 'The gateway does not answer. Check the network and try again.';
  return error.message;
}

export async function logout(): Promise<void> {
  await call('POST', '/api/logout');
}

export async function probe(): Promise<Probe> {
  try {
    await call('GET', '/api/me');
    return 'signed_in';
  } catch (error) {
    return error instanceof ApiError && error.status === 401 ? 'signed_out' : 'unreachable';
  }
}

/** The `limit` events that end just before seq `before`, oldest first. */
export async function eventsBefore(session: string, before: number, limit: number, epoch: string): Promise<EventRecord[]> {
  const query = new URLSearchParams({ before: String(before), limit: String(limit), epoch });
  const body = await call('GET', `/api/sessions/${session}/events?${query}`);
  const events = isObject(body) ? body['events'] : null;
  return Array.isArray(events) ? events.filter(isRecord) : [];
}

export async function patchSession(session: string, change: { title?: string; archived?: boolean }): Promise<SessionState> {
  return (await call('PATCH', `/api/sessions/${session}`, change)) as SessionState;
}

export type ExportFormat = 'jsonl' | 'md' | 'html' | 'bundle';

export function exportUrl(session: string, format: ExportFormat): string {
  return `/api/sessions/${session}/export?format=${format}`;
}

/** The newest signed checkpoint of a session's log, as text; 404 when there is none yet. */
export async function checkpoint(session: string): Promise<string> {
  return asText(await call('GET', `/api/sessions/${session}/checkpoint`));
}

export interface SearchPage {
  hits: Hit[];
  /** Where the next page begins; null: there is none. */
  next: string | null;
  behind: number;
}

/** One page of the events that match, the newest first. */
export async function search(criteria: Criteria, cursor: string | null, signal: AbortSignal): Promise<SearchPage> {
  const query = searchQuery(criteria);
  if (cursor !== null) query.set('cursor', cursor);
  const body = await call('GET', `/api/search?${query}`, undefined, signal);
  const page = isObject(body) ? body : {};
  return {
    hits: Array.isArray(page['hits']) ? page['hits'].flatMap(asHit) : [],
    next: typeof page['next'] === 'string' ? page['next'] : null,
    behind: asCount(page['behind']) ?? 0,
  };
}

/** Its words may be anything; what it is found by must be right. */
function asHit(value: unknown): Hit[] {
  const session = isObject(value) ? asText(value['session']) : '';
  if (!isObject(value) || !isUuid(session) || !Number.isSafeInteger(value['seq'])) return [];
  const snippet = Array.isArray(value['snippet']) ? value['snippet'].filter(isObject) : [];
  return [
    {
      session,
      title: asText(value['title']),
      seq: value['seq'] as number,
      time: asText(value['time']),
      kind: asText(value['kind']),
      by: asText(value['by']),
      snippet: snippet.map((part) => ({ text: asText(part['text']), hit: part['hit'] === true })),
    },
  ];
}

/** The same session as the gateway draws it by itself: no script, any browser. */
export function plainPageUrl(session: string): string {
  return `/sessions/${session}`;
}

export interface Preset {
  label: string;
  prompt: string;
}

/** The prompts to begin with that the gateway's configuration names. */
export async function presets(): Promise<Preset[]> {
  const body = await call('GET', '/api/presets');
  const list = isObject(body) ? body['presets'] : null;
  return Array.isArray(list) ? list.filter(isPreset) : [];
}

function isPreset(value: unknown): value is Preset {
  return isObject(value) && typeof value['label'] === 'string' && typeof value['prompt'] === 'string';
}

async function call(method: string, path: string, body?: object, signal?: AbortSignal): Promise<unknown> {
  const late = AbortSignal.timeout(ANSWER_MS);
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      credentials: 'same-origin',
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
    });
  } catch {
    throw new ApiError(0, 'unreachable', 'the gateway does not answer');
  }
  const json = response.headers.get('content-type')?.startsWith('application/json') === true;
  const answer: unknown = await (json ? response.json() : response.text()).catch(() => null);
  if (response.ok) return answer;
  const error = isObject(answer) && isObject(answer['error']) ? answer['error'] : {};
  throw new ApiError(response.status, String(error['code'] ?? ''), String(error['message'] ?? `HTTP ${response.status}`));
}
