// The time, once a second, for everything that says "2 min ago".

const TICK_MS = 1_000;

class Clock {
  now_ms = $state(Date.now());
  /** When today began: for what changes once a day, and is drawn many times. */
  today_ms = $state(startOfDay(Date.now()));

  constructor() {
    setInterval(() => {
      if (!document.hidden) this.#tick();
    }, TICK_MS);
    document.addEventListener('visibilitychange', () => this.#tick());
  }

  #tick(): void {
    this.now_ms = Date.now();
    this.today_ms = startOfDay(this.now_ms);
  }
}

function startOfDay(now_ms: number): number {
  return new Date(now_ms).setHours(0, 0, 0, 0);
}

export const clock = new Clock();
