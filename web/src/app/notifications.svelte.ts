// Desktop notifications. Asked for only on a click; one for each person, not one for each tab.
import { browserStore } from './storage';

const WANTED = 'breakglass.notify';
const CLAIM = 'breakglass.notified';
/** A visible tab claims the end of a turn at once; hidden ones wait so long to see that it did. */
const CLAIM_WAIT_MS = 400;

class Notifications {
  readonly can = typeof Notification !== 'undefined' && window.isSecureContext && Notification.permission !== 'denied';
  on = $state(false);
  readonly #store = browserStore();

  constructor() {
    this.on = this.can && Notification.permission === 'granted' && this.#store.getItem(WANTED) === 'yes';
  }

  async toggle(): Promise<void> {
    const wanted = !this.on && (await Notification.requestPermission()) === 'granted';
    this.on = wanted;
    if (wanted) this.#store.setItem(WANTED, 'yes');
    else this.#store.removeItem(WANTED);
  }

  /** A turn has ended. `seen`: somebody looks at this tab, so nobody has to be called. */
  ended(turn: string, text: string, seen: boolean, open: () => void): void {
    if (!this.on) return;
    if (seen) return void this.#claim(turn);
    setTimeout(() => {
      if (this.#claim(turn)) this.#show(turn, text, open);
    }, CLAIM_WAIT_MS * (1 + Math.random()));
  }

  /** Whether this tab is the first to deal with the end of `turn`. */
  #claim(turn: string): boolean {
    if (this.#store.getItem(CLAIM) === turn) return false;
    this.#store.setItem(CLAIM, turn);
    return true;
  }

  #show(turn: string, text: string, open: () => void): void {
    try {
      const notification = new Notification('breakglass', { body: text, tag: turn });
      notification.onclick = () => {
        window.focus();
        open();
        notification.close();
      };
    } catch {
      // Some phones have the interface and refuse to use it. The title and the icon still tell.
    }
  }
}

export const notifications = new Notifications();
