// The browser's storage, which may be switched off or full: then the page works on, and forgets at the next reload.
import type { Store } from '../socket/outbox';

export function browserStore(): Store {
  try {
    const probe = 'breakglass.probe';
    localStorage.setItem(probe, '1');
    localStorage.removeItem(probe);
    return localStorage;
  } catch {
    return new MemoryStore();
  }
}

export class MemoryStore implements Store {
  readonly #entries = new Map<string, string>();

  get length(): number {
    return this.#entries.size;
  }

  key(index: number): string | null {
    return [...this.#entries.keys()][index] ?? null;
  }

  getItem(name: string): string | null {
    return this.#entries.get(name) ?? null;
  }

  setItem(name: string, value: string): void {
    this.#entries.set(name, value);
  }

  removeItem(name: string): void {
    this.#entries.delete(name);
  }
}

/** Stores what can be forgotten without harm. */
export function setQuietly(store: Store, name: string, value: string): void {
  try {
    store.setItem(name, value);
  } catch {
    // Full. What is on the screen stays.
  }
}
