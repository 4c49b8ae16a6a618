import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { frozenRequestSchema } from '@xva/contracts';
import { sampleEvent } from '@xva/testkit';

/**
 * An input API as a process of its own, for tests that kill it: `input-api-child.ts PORT POINT`. It ends with SIGKILL when
 * it reaches the point (`beforeAnswer`, `midManifest`, `afterManifest`, `beforePart`, `midPart`); `none` never. Packages
 * are `sampleEvent`'s, made from the request alone, so that a restart loses nothing.
 */
const [port = '0', point = 'none'] = process.argv.slice(2);
const parts = new Map<string, Buffer>();

const reach = (name: string): void => {
  if (name === point) process.kill(process.pid, 'SIGKILL');
};

/** Half of the bytes, on the wire before the process may end, then the rest. */
function send(response: ServerResponse, bytes: Buffer, mid: string, after: string): void {
  response.writeHead(200, { 'content-length': bytes.length });
  response.write(bytes.subarray(0, bytes.length >> 1), () => {
    reach(mid);
    response.end(bytes.subarray(bytes.length >> 1), () => reach(after));
  });
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.method === 'POST') {
      reach('beforeAnswer');
      const { requestKey } = frozenRequestSchema.parse(JSON.parse(Buffer.concat(chunks).toString()));
      const sample = sampleEvent({ book: requestKey.book, revision: requestKey.revision });
      for (const [sha256, bytes] of sample.parts) parts.set(sha256, bytes);
      send(response, sample.manifestBytes, 'midManifest', 'afterManifest');
      return;
    }
    const bytes = parts.get((request.url ?? '').split('/').at(-1) ?? '');
    if (bytes === undefined) {
      response.writeHead(404).end();
      return;
    }
    reach('beforePart');
    send(response, bytes, 'midPart', '');
  });
});
server.listen(Number(port), '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.stdin.resume().on('end', () => process.exit());
