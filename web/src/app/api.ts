// The gateway's HTTP face, as far as the page needs it (protocol.md section 4). The cookie is the credential.
import { isObject, isRecord } from '../wire/parse';
import type { EventRecord, SessionState } from '../wire/types';
import type { Probe } from '../socket/connection';

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

export function exportUrl(session: string): string {
  return `/api/sessions/${session}/export?format=jsonl`;
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

async function call(method: string, path: string, body?: object): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      credentials: 'same-origin',
      signal: AbortSignal.timeout(ANSWER_MS),
    });
  } catch {
    throw new ApiError(0, 'unreachable', 'the gateway does not answer');
  }
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) return answer;
  const error = isObject(answer) && isObject(answer['error']) ? answer['error'] : {};
  throw new ApiError(response.status, String(error['code'] ?? ''), String(error['message'] ?? `HTTP ${response.status}`));
}
