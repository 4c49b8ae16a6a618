import type { Server as HttpServer } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';

/** Binds a server (port 0 = any free one) and gives the port that it got. */
export async function listen(server: Server | HttpServer, port: number, host = '127.0.0.1'): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

/** Remembers open sockets, so that a stop does not wait for kept-alive clients. */
export function trackSockets(server: Server | HttpServer): () => void {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

/** Closes the server's door, cuts what is still open and resolves when all is shut. */
export async function closeServer(server: Server | HttpServer, cutSockets: () => void): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    cutSockets();
  });
}
