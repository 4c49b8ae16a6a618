import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JobRequest } from '@xva/contracts';
import type { SampleEvent } from '@xva/testkit';

export type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

/** An HTTP server of the test's own on a free port of 127.0.0.1. */
export class StubServer {
  readonly #server: Server;
  readonly requests: { method: string; path: string; headers: IncomingMessage['headers']; body: Buffer }[] = [];
  url = '';

  constructor(answer: Answer) {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        this.requests.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body });
        answer(request, response, body);
      });
    });
  }

  async start(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

export function json(response: ServerResponse, status: number, body: unknown, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export const problem = (status: number, code: string, errors: readonly object[] = []): object => ({
  type: `urn:xva-lab:problem:${code}`,
  title: code,
  status,
  code,
  detail: `it is ${code}`,
  errors,
});

/** Whether `before` answered, or set `isTaken` to leave the caller without an answer. */
const isTaken = (response: ServerResponse & { isTaken?: boolean }): boolean =>
  response.writableEnded || response.headersSent || response.destroyed || response.isTaken === true;

/** An input API with canned packages; `before` may answer in its place. */
export class StubInputApi {
  readonly samples: SampleEvent[] = [];
  before: Answer | undefined;
  /** How long a package takes to make. */
  latencyMs = 0;
  readonly server = new StubServer((request, response, body) => {
    this.before?.(request, response, body);
    if (isTaken(response)) return;
    if (request.headers['x-api-key'] !== 'input-api-key') return json(response, 401, problem(401, 'unauthorized'));
    if (request.method === 'POST') {
      const sample = this.samples.find(({ requestBytes }) => requestBytes.equals(body));
      if (sample === undefined) return json(response, 422, problem(422, 'package-refused'));
      const answer = (): void => {
        const headers = { 'content-type': 'application/json', etag: `"${sample.packageId}"` };
        response.writeHead(200, headers).end(sample.manifestBytes);
      };
      if (this.latencyMs > 0) setTimeout(answer, this.latencyMs);
      else answer();
      return;
    }
    const sha256 = (request.url ?? '').split('/').at(-1) ?? '';
    const part = this.samples.map(({ parts }) => parts.get(sha256)).find((found) => found !== undefined);
    if (part === undefined) return json(response, 404, problem(404, 'package-not-cached'));
    response.writeHead(200, { 'content-length': part.length }).end(part);
  });
}

/** A batch controller that keeps runs by event id; `before` may answer in its place. */
export class StubJobApi {
  readonly runs = new Map<string, JobRequest>();
  readonly samples: SampleEvent[];
  before: Answer | undefined;
  readonly server = new StubServer((request, response, body) => {
    this.before?.(request, response, body);
    if (isTaken(response)) return;
    if (request.headers['x-api-key'] !== 'job-api-key') return json(response, 401, problem(401, 'unauthorized'));
    if (request.method === 'GET') return json(response, 200, { items: [] });
    const job = JSON.parse(body.toString()) as JobRequest;
    const known = this.runs.get(job.eventId);
    this.runs.set(job.eventId, known ?? job);
    const sample = this.samples.find(({ event }) => event.id === job.eventId);
    const run = { ...(known ?? job), runId: sample?.event.data.runId ?? 'unknown', state: 'queued' };
    return json(response, known === undefined ? 201 : 200, run);
  });

  constructor(samples: SampleEvent[]) {
    this.samples = samples;
  }
}
