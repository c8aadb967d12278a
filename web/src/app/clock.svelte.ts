// The time, once a second, for everything that says "2 min ago".

const TICK_MS = 1_000;

class Clock {
  now_ms = $state(Date.now());

  constructor() {
    setInterval(() => {
      if (!document.hidden) this.now_ms = Date.now();
    }, TICK_MS);
    document.addEventListener('visibilitychange', () => (this.now_ms = Date.now()));
  }
}

export const clock = new Clock();
