// What the browser says about the network. "Offline" is reliable; "online" only means that there may be one.

class Online {
  now = $state(navigator.onLine);

  constructor() {
    const look = () => (this.now = navigator.onLine);
    window.addEventListener('online', look);
    window.addEventListener('offline', look);
  }
}

export const online = new Online();
