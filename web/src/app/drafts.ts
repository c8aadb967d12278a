// What has been typed and not sent, by session. Kept at every keystroke: a phone may drop the page at any time.
import type { Store } from '../socket/outbox';
import { setQuietly } from './storage';

const PREFIX = 'breakglass.draft.';

export function draftOf(store: Store, session: string): string {
  return store.getItem(PREFIX + session) ?? '';
}

export function keepDraft(store: Store, session: string, text: string): void {
  if (text === '') store.removeItem(PREFIX + session);
  else setQuietly(store, PREFIX + session, text);
}
