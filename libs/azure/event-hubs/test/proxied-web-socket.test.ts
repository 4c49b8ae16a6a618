import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { webSocketThroughProxy } from '../src/proxied-web-socket.ts';

const sockets = new Set<Socket>();
const servers: Server[] = [];

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) await new Promise<void>((resolve) => server.close(() => resolve()));
});

/** Accepts a WebSocket (RFC 6455, section 4.2.2) and speaks the subprotocol of AMQP. */
function webSocketServer(): Server {
  return createServer().on('upgrade', (request, socket) => {
    const key = `${request.headers['sec-websocket-key'] ?? ''}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
    socket.write(
      [...lines, `Sec-WebSocket-Accept: ${accept}`, 'Sec-WebSocket-Protocol: AMQPWSB10', '', ''].join('\r\n'),
    );
  });
}

describe('webSocketThroughProxy', () => {
  it('opens the socket through the proxy, and leaves other connections of the process alone', async () => {
    const target = await listen(webSocketServer());
    const plain = await listen(createServer((_request, response) => response.end('direct')));
    const asked: string[] = [];
    const proxy = createServer((_request, response) => response.writeHead(500).end()).on(
      'connect',
      (request, client) => {
        asked.push(request.url ?? '');
        const onward = connect(target, '127.0.0.1', () => {
          client.write('HTTP/1.1 200 Connection established\r\n\r\n');
          onward.pipe(client).pipe(onward);
        });
        sockets.add(onward);
      },
    );
    // A process of its own: Jest's globals are not those on which Node keeps its dispatcher.
    const script = fileURLToPath(new URL('./open-through-proxy.ts', import.meta.url));
    const addresses = [`http://127.0.0.1:${await listen(proxy)}`, `ws://hub.example:${target}/$servicebus/websocket`];
    const args = ['--disable-warning=ExperimentalWarning', script, ...addresses, `http://127.0.0.1:${plain}/`];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(JSON.parse(stdout)).toEqual({ protocol: 'AMQPWSB10', direct: 'direct' });
    expect(asked).toEqual([`hub.example:${target}`]);
  });

  it('refuses what is no HTTP proxy', () => {
    expect(() => webSocketThroughProxy('socks5://127.0.0.1:1')).toThrow('not http(s)');
  });
});
