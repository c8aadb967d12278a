// What is open on the screen: nothing that the gateway knows or that must survive a reload.

class Ui {
  narrow = $state(false);
  sheet = $state(false);
  newSession = $state(false);
  help = $state(false);
  proof = $state(false);
  outline = $state(false);
  find = $state(false);
  /** Rises with each wish to search the sessions; the list takes the focus. */
  searchSessions = $state(0);

  constructor() {
    const narrow = matchMedia('(max-width: 760px)');
    this.narrow = narrow.matches;
    narrow.addEventListener('change', () => {
      this.narrow = narrow.matches;
      this.sheet = false;
    });
  }
}

export const ui = new Ui();
