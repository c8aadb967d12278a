// Work that can wait for the next frame of the screen: what came over the socket is drawn once per frame, however
// much of it came. A hidden page gets no frames, so there a timer stands in.

const HIDDEN_MS = 250;

export class NextFrame {
  #due = false;

  constructor(private readonly work: () => void) {}

  request(): void {
    if (this.#due) return;
    this.#due = true;
    const run = () => {
      if (!this.#due) return;
      this.#due = false;
      this.work();
    };
    requestAnimationFrame(run);
    setTimeout(run, HIDDEN_MS);
  }

  /** Does the work now, if any is due. */
  flush(): void {
    if (!this.#due) return;
    this.#due = false;
    this.work();
  }
}
