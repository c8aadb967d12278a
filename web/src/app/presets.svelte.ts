// Prompts to begin with, from the gateway's configuration. None are shown until it has said which.
import * as api from './api';
import type { Preset } from './api';

class Presets {
  list: Preset[] = $state.raw([]);
  #loaded = false;
  #loading = false;

  /** Asks the gateway when there is a connection and nothing has come yet; what fails is tried at the next connection. */
  async load(): Promise<void> {
    if (this.#loaded || this.#loading) return;
    this.#loading = true;
    try {
      this.list = await api.presets();
      this.#loaded = true;
    } catch {
      // No chips: the composer works without them.
    } finally {
      this.#loading = false;
    }
  }
}

export const presets = new Presets();
