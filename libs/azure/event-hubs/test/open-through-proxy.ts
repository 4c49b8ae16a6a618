import { webSocketThroughProxy } from '../src/proxied-web-socket.ts';

/** `node open-through-proxy.ts <proxy> <socket> <plain>`: what a process sees that opens one socket through a proxy. */
const [proxy = '', address = '', plain = ''] = process.argv.slice(2);
const Proxied = webSocketThroughProxy(proxy);
const socket = new Proxied(address, ['AMQPWSB10']);
await new Promise((resolve, reject) => {
  socket.onopen = resolve;
  socket.onerror = () => reject(new Error('the socket did not open'));
});
const direct = await (await fetch(plain)).text();
process.stdout.write(JSON.stringify({ protocol: socket.protocol, direct }));
process.exit(0);
