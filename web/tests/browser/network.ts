// A piece of network between the browser and the gateway that can be cut as a phone's is: nothing is refused and nothing
// is closed, what is under way just never arrives.
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';

export class Network {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target = { host: '127.0.0.1', port: 0 };
  #cut = false;

  private constructor() {
    this.#server = createServer((near) => this.#arrived(near));
  }

  static async open(): Promise<Network> {
    const network = new Network();
    await new Promise<void>((resolve) => network.#server.listen(0, '127.0.0.1', resolve));
    return network;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  leadsTo(listens: string): void {
    const [host = '', port] = listens.split(':');
    this.#target = { host, port: Number(port) };
  }

  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** The network is back; connections from before are as lost as after a change of address. */
  mend(): void {
    this.#cut = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.mend();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #arrived(near: Socket): void {
    this.#keep(near);
    if (this.#cut) return void near.pause();
    const far = connect(this.#target);
    this.#keep(far);
    near.pipe(far).on('close', () => near.destroy());
    far.pipe(near).on('close', () => far.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
