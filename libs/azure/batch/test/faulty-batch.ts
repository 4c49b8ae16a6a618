import { Agent, createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What becomes of a request. `effect: true` = it reaches Batch first and its answer is lost. */
export type Act =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly code?: string;
      readonly headers?: Readonly<Record<string, string>>;
      /** Instead of an error body of Batch's shape. */
      readonly body?: string;
      readonly effect?: boolean;
    }
  | { readonly kind: 'reset'; readonly effect?: boolean }
  | { readonly kind: 'hang'; readonly effect?: boolean }
  | { readonly kind: 'delay'; readonly ms: number }
  /** The whole answer, a byte every few milliseconds. */
  | { readonly kind: 'drip'; readonly everyMs: number }
  /** The answer's first bytes, then the connection is cut; or, with `whole`, a complete answer that is half the JSON. */
  | { readonly kind: 'cut'; readonly bytes: number; readonly way: 'length' | 'chunked' | 'whole' }
  | { readonly kind: 'rewrite'; readonly change: (answer: never) => unknown };

export interface Fault {
  /** Matched against `METHOD /path?query`. */
  readonly on: RegExp;
  readonly times: number;
  readonly skip?: number;
  readonly act: Act | (() => Act);
}

export interface FaultyBatch {
  readonly url: string;
  /** `METHOD /path?query` of all that was asked since `script`. */
  readonly asked: readonly string[];
  readonly script: (...faults: Fault[]) => void;
  /** Closes the kept-alive connections that are idle, as a balancer does. */
  readonly dropIdle: () => void;
  readonly close: () => Promise<void>;
}

const errorBody = (code: string): string =>
  JSON.stringify({ code, message: { lang: 'en-US', value: `Injected ${code}.\nRequestId:x\nTime:y` } });

/** A proxy before the emulator that makes faults which a healthy service cannot be asked for. */
export async function startFaultyBatch(target: string): Promise<FaultyBatch> {
  const { hostname, port } = new URL(target);
  const agent = new Agent({ keepAlive: true });
  let faults: { readonly fault: Fault; skip: number; left: number }[] = [];
  let asked: string[] = [];
  const sockets = new Set<Socket>();

  const forward = (incoming: IncomingMessage, body: Buffer): Promise<{ answer: IncomingMessage; bytes: Buffer }> =>
    new Promise((resolve, reject) => {
      const { method, url, headers } = incoming;
      const call = request({ agent, hostname, port, method, path: url, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => resolve({ answer, bytes: Buffer.concat(chunks) }));
      });
      call.on('error', reject);
      call.end(body);
    });

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const line = `${incoming.method ?? ''} ${incoming.url ?? ''}`;
    asked.push(line);
    const armed = faults.find(({ fault, left }) => left > 0 && fault.on.test(line));
    let act: Act | undefined;
    if (armed !== undefined) {
      if (armed.skip > 0) armed.skip -= 1;
      else {
        armed.left -= 1;
        act = typeof armed.fault.act === 'function' ? armed.fault.act() : armed.fault.act;
      }
    }
    if (act?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, act.ms));
    const lost = (act?.kind === 'answer' || act?.kind === 'reset' || act?.kind === 'hang') && act.effect !== true;
    const real = lost ? undefined : await forward(incoming, Buffer.concat(chunks));
    if (act?.kind === 'reset') return void incoming.socket.resetAndDestroy();
    if (act?.kind === 'hang') return;
    if (act?.kind === 'answer') {
      const body = act.body ?? errorBody(act.code ?? 'Injected');
      const headers = { 'request-id': 'injected-1', 'content-type': 'application/json', ...act.headers };
      return void response.writeHead(act.status, headers).end(body);
    }
    if (real === undefined) return;
    let { bytes } = real;
    const { statusCode = 500, headers } = real.answer;
    if (act?.kind === 'rewrite') bytes = Buffer.from(JSON.stringify(act.change(JSON.parse(bytes.toString()) as never)));
    if (act?.kind === 'cut') {
      const { 'content-length': _length, ...rest } = headers;
      const length = act.way === 'whole' ? act.bytes : bytes.length;
      response.writeHead(statusCode, act.way === 'chunked' ? rest : { ...rest, 'content-length': length });
      if (act.way === 'whole') return void response.end(bytes.subarray(0, act.bytes));
      return void response.write(bytes.subarray(0, act.bytes), () => incoming.socket.destroy());
    }
    if (act?.kind === 'drip') {
      response.writeHead(statusCode, { ...headers, 'content-length': bytes.length });
      for (const byte of bytes) {
        if (incoming.socket.destroyed) return;
        response.write(Buffer.of(byte));
        await new Promise((resolve) => setTimeout(resolve, act.everyMs));
      }
      return void response.end();
    }
    response.writeHead(statusCode, { ...headers, ...(bytes.length > 0 ? { 'content-length': bytes.length } : {}) });
    response.end(bytes);
  };

  const server: Server = createServer((incoming, response) => {
    serve(incoming, response).catch(() => incoming.socket.destroy());
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get asked() {
      return asked;
    },
    script: (...list) => {
      asked = [];
      faults = list.map((fault) => ({ fault, skip: fault.skip ?? 0, left: fault.times }));
    },
    dropIdle: () => server.closeIdleConnections(),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      agent.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
