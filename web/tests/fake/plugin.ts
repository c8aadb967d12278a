// `npm run dev`: Vite's own server with a fake gateway behind it. Sign in with #token=ana-token (see gateway.ts).
import type { Plugin } from 'vite';

export function fakeGateway(): Plugin {
  return {
    name: 'fake-gateway',
    apply: 'serve',
    async configureServer(server) {
      if (process.env['VITEST'] !== undefined) return;
      const { FakeGateway } = await import('./gateway.ts');
      const gateway = new FakeGateway();
      gateway.session('Disk full on db-1').prompt('[[tools]] the database is down', 'ana', 'first');
      server.middlewares.use((request, response, next) => {
        if (!gateway.http(request, response)) next();
      });
      server.httpServer?.on('upgrade', (request, socket, head) => {
        if (request.url === '/ws') gateway.upgrade(request, socket, head);
      });
    },
  };
}
