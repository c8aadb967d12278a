// The keys of the whole page. Plain letters count only outside of fields.
import type { App } from './app.svelte';
import { NO_CRITERIA, searchHash } from './criteria';
import { ui } from './ui.svelte';

/** Asked of the transcript, which knows where its turns are. */
export const NEXT_TURN = 'breakglass:next-turn';
export const PREVIOUS_TURN = 'breakglass:previous-turn';

export function onKey(app: App, event: KeyboardEvent): void {
  if (app.auth === 'out' || app.auth === 'checking' || event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    searchSessions();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  // What is on top is left by itself, and alone.
  if (document.querySelector('dialog[open], :popover-open') !== null) return;
  if (event.key === 'Escape') return leave();
  if (isField(event.target)) return;
  const action = ACTIONS[event.key];
  if (action === undefined) return;
  event.preventDefault();
  action(app);
}

export function searchSessions(): void {
  ui.sheet = ui.narrow;
  ui.searchSessions += 1;
}

/** The search across sessions, in place of what is on the screen. */
export function searchEverything(words = ''): void {
  ui.sheet = false;
  location.hash = searchHash({ ...NO_CRITERIA, words });
}

const ACTIONS: { [key: string]: (app: App) => void } = {
  '/': (app) => {
    if (app.searching) document.querySelector<HTMLElement>('search input')?.focus();
    else if (app.current === null) searchSessions();
    else ui.find = true;
  },
  '?': () => (ui.help = true),
  s: () => searchEverything(),
  j: () => window.dispatchEvent(new Event(NEXT_TURN)),
  k: () => window.dispatchEvent(new Event(PREVIOUS_TURN)),
};

/** Esc closes the newest thing; with nothing open it leaves the field. */
function leave(): void {
  if (ui.find) ui.find = false;
  else if (ui.sheet) ui.sheet = false;
  else if (ui.outline && ui.narrow) ui.outline = false;
  else if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
}

function isField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
}
