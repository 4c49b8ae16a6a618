import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { StepFailure, type CallContext } from '@xva/flow-package';
import { sampleEvent } from '@xva/testkit';
import { InputApiClient } from '../src/clients/input-api-client.ts';
import { JobApiClient } from '../src/clients/job-api-client.ts';
import { json, problem, StubServer, type Answer } from './stubs.ts';

const sample = sampleEvent();
const servers: { stop(): Promise<void> }[] = [];
const context = (signal = new AbortController().signal): CallContext => ({
  signal,
  traceparent: sample.event.traceparent,
  eventId: sample.event.id,
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function serve(answer: Answer): Promise<StubServer> {
  const server = await new StubServer(answer).start();
  servers.push(server);
  return server;
}

function inputApi(url: string): InputApiClient {
  return new InputApiClient({
    url,
    apiKey: 'secret-key',
    packageDeadlineMs: 400,
    partDeadlineMs: 400,
    maxManifestBytes: 10_000,
  });
}

async function failureOf(operation: Promise<unknown>): Promise<StepFailure> {
  const error = await operation.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof StepFailure) return error;
  throw new Error(`expected a StepFailure, got ${String(error)}`);
}

async function readPart(client: InputApiClient): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await client.openPart('a'.repeat(64), 'b'.repeat(64), context())) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('InputApiClient', () => {
  it('sends the request with key, trace and event id, and gives the bytes back as they came', async () => {
    const server = await serve((_request, response) => void response.end(sample.manifestBytes));
    const answer = await inputApi(`${server.url}/`).createPackage(sample.requestBytes, context());
    expect(Buffer.from(answer).equals(sample.manifestBytes)).toBe(true);
    const [seen] = server.requests;
    expect(seen).toMatchObject({ method: 'POST', path: '/v1/packages' });
    expect(seen?.body.equals(sample.requestBytes)).toBe(true);
    expect(seen?.headers).toMatchObject({ 'x-api-key': 'secret-key', traceparent: sample.event.traceparent });
  });

  it('keeps its connection between calls', async () => {
    const ports = new Set<number | undefined>();
    const server = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      response.end('{}');
    });
    for (let count = 0; count < 20; count += 1) await inputApi(server.url).createPackage(Buffer.from('{}'), context());
    expect(ports.size).toBeLessThanOrEqual(3);
  });

  it('gives every defect of a refusal', async () => {
    const errors = [{ subject: 'T-1', code: 'unknown-trade-type', message: 'trade T-1 has unknown type Foo' }];
    const server = await serve((_request, response) => json(response, 422, problem(422, 'package-refused', errors)));
    const failure = await failureOf(inputApi(server.url).createPackage(sample.requestBytes, context()));
    expect(failure).toMatchObject({ kind: 'poison', reason: 'package-refused', defects: errors });
  });

  it.each<[string, string, string]>([
    ['7', 'number of seconds', '7000'],
    ['0', 'zero', '0'],
    ['soon', 'no sense', 'undefined'],
  ])('reads Retry-After %s (%s)', async (value, _what, expected) => {
    const server = await serve((_request, response) =>
      json(response, 503, problem(503, 'busy'), { 'retry-after': value }),
    );
    const failure = await failureOf(inputApi(server.url).createPackage(sample.requestBytes, context()));
    expect(failure.kind).toBe('busy');
    expect(String(failure.retryAfterMs)).toBe(expected);
  });

  it('does not follow a redirect: key and request stay here', async () => {
    const elsewhere = await serve((_request, response) => void response.end('{}'));
    const server = await serve((_request, response) => void response.writeHead(307, { location: elsewhere.url }).end());
    const failure = await failureOf(inputApi(server.url).createPackage(sample.requestBytes, context()));
    expect(failure.kind).toBe('operator');
    expect(elsewhere.requests).toHaveLength(0);
  });

  it('gives up on a server that is slow to begin, and on one that never ends', async () => {
    const silent = await serve(() => undefined);
    const failure = await failureOf(inputApi(silent.url).createPackage(sample.requestBytes, context()));
    expect(failure).toMatchObject({ kind: 'transient', reason: 'input-api-unavailable' });
    expect(failure.message).toContain('400 ms');
    const dripping = await serve((_request, response) => {
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    });
    expect(await failureOf(inputApi(dripping.url).createPackage(sample.requestBytes, context()))).toMatchObject({
      kind: 'transient',
    });
    expect((await failureOf(readPart(inputApi(dripping.url)))).message).toContain('400 ms');
  });

  it('takes no endless manifest into memory', async () => {
    const server = await serve((_request, response) => {
      const block = Buffer.alloc(64 * 1024, ' ');
      const more = (): void => {
        while (!response.destroyed && response.write(block));
      };
      response.on('drain', more);
      more();
    });
    const failure = await failureOf(inputApi(server.url).createPackage(sample.requestBytes, context()));
    expect(failure).toMatchObject({ kind: 'poison', reason: 'package-invalid' });
  });

  it('calls a body that is cut an outage, whoever cut it', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 1_000 });
      response.write('half', () => response.destroy());
    });
    expect(await failureOf(readPart(inputApi(server.url)))).toMatchObject({ kind: 'transient' });
    expect(await failureOf(inputApi(server.url).createPackage(sample.requestBytes, context()))).toMatchObject({
      kind: 'transient',
      reason: 'input-api-unavailable',
    });
  });

  it('calls no listener, no HTTP and a dead name an outage, with the address in the message', async () => {
    const sockets = new Set<Socket>();
    const garbage = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).end('SSH-2.0-OpenSSH\r\n');
    });
    await new Promise<void>((resolve) => garbage.listen(0, '127.0.0.1', resolve));
    const { port } = garbage.address() as AddressInfo;
    const seen: string[] = [];
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const nobody = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`;
    await new Promise((resolve) => closed.close(resolve));
    for (const url of [nobody, `http://127.0.0.1:${port}`, 'http://no-such-host.invalid']) {
      const failure = await failureOf(inputApi(url).createPackage(sample.requestBytes, context()));
      seen.push(failure.kind);
      expect(failure.message.includes(url)).toBe(true);
      expect(await inputApi(url).alive(context().signal)).toBe(false);
    }
    garbage.close();
    // What was never reached cannot have been broken by this request; what answers nonsense may have been.
    expect(seen).toEqual(['outage', 'transient', 'outage']);
  });

  it('ends at once with the reason when the work is stopped', async () => {
    const server = await serve(() => undefined);
    const stop = new AbortController();
    const call = inputApi(server.url).createPackage(sample.requestBytes, context(stop.signal));
    stop.abort(new Error('stopping'));
    await expect(call).rejects.toThrow('stopping');
  });

  it.each<[string, boolean, number]>([
    ['has no such object', true, 404],
    ['wants another key', true, 401],
    ['is busy', true, 429],
    ['fails whatever it is asked', false, 500],
  ])('one that %s is alive: %p', async (_what, expected, status) => {
    const server = await serve((_request, response) => json(response, status, problem(status, 'any')));
    expect(await inputApi(server.url).alive(context().signal)).toBe(expected);
    const jobs = new JobApiClient({ url: server.url, apiKey: 'k', deadlineMs: 400 });
    expect(await jobs.alive(context().signal)).toBe(expected);
  });

  it('says with one harmless request whether the key is accepted', async () => {
    const server = await serve((request, response) =>
      request.headers['x-api-key'] === 'secret-key'
        ? json(response, 404, problem(404, 'package-not-cached'))
        : json(response, 401, problem(401, 'unauthorized')),
    );
    const { signal } = new AbortController();
    expect(await inputApi(server.url).check(signal)).toBe('key accepted');
    const wrong = new InputApiClient({
      url: server.url,
      apiKey: 'no',
      packageDeadlineMs: 400,
      partDeadlineMs: 400,
      maxManifestBytes: 1,
    });
    expect((await failureOf(wrong.check(signal))).kind).toBe('operator');
  });
});

describe('JobApiClient', () => {
  const request = {
    schemaVersion: '1.0',
    eventId: sample.event.id,
    requestKey: sample.manifest.requestKey,
    packageId: sample.packageId,
    priority: 3,
  } as const;
  const client = (url: string): JobApiClient => new JobApiClient({ url, apiKey: 'k', deadlineMs: 400 });
  const run = { runId: 'xva-1', eventId: sample.event.id, packageId: sample.packageId, state: 'queued' };

  it('tells a new run from one that was there', async () => {
    for (const [status, created] of [
      [201, true],
      [200, false],
    ] as const) {
      const server = await serve((_request, response) => json(response, status, { ...run, more: 1 }));
      expect(await client(server.url).submit(request, context())).toEqual({ ...run, created });
    }
  });

  it.each<[string, number, string]>([
    ['a web page', 200, '<html>signed out</html>'],
    ['nothing', 200, ''],
    ['another object', 201, '{"ok":true}'],
  ])('does not take %s for a run', async (_what, status, text) => {
    const server = await serve((_request, response) => void response.writeHead(status).end(text));
    expect(await failureOf(client(server.url).submit(request, context()))).toMatchObject({
      kind: 'transient',
      reason: 'job-api-nonsense',
    });
  });
});
