import { createServer, request as send, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What happens to a request: `cut` before it arrives; `reply-lost` = it arrives and the answer is cut; `503`, `429` with
 * Retry-After before it arrives; `500-after` = it arrives and is answered 500; `stall` = nothing for a while, then a cut;
 * `half` = half of the answer's body, then a cut.
 */
export const proxyFaults = ['cut', 'reply-lost', '503', '429', '500-after', 'stall', 'half'] as const;
export type ProxyFault = (typeof proxyFaults)[number];

export interface ProxyRule {
  readonly fault: ProxyFault;
  readonly matches: (method: string, url: string) => boolean;
  /** How often; then it is spent. */
  times: number;
}

const stallMs = 200;

/** Passes HTTP on to one address, except where a rule says otherwise. */
export class FaultyProxy {
  readonly rules: ProxyRule[] = [];
  /** Faults that were dealt out. */
  dealt = 0;
  /** Asked for every request that no rule matched: random faults of a campaign. */
  chance: (() => ProxyFault | undefined) | undefined;
  url = '';
  readonly #target: URL;
  readonly #server: Server;

  constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((incoming, response) => this.#serve(incoming, response));
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #faultFor(method: string, url: string): ProxyFault | undefined {
    const rule = this.rules.find(({ times, matches }) => times > 0 && matches(method, url));
    if (rule !== undefined) rule.times -= 1;
    const fault = rule?.fault ?? this.chance?.();
    if (fault !== undefined) this.dealt += 1;
    return fault;
  }

  #serve(incoming: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    incoming.on('error', () => undefined);
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const fault = this.#faultFor(incoming.method ?? '', incoming.url ?? '');
      switch (fault) {
        case 'cut':
          response.destroy();
          return;
        case 'stall':
          setTimeout(() => response.destroy(), stallMs);
          return;
        case '503':
        case '429':
          response.writeHead(Number(fault), { 'retry-after': '1', 'x-ms-error-code': 'ServerBusy' }).end();
          return;
        default:
          this.#pass(incoming, Buffer.concat(chunks), response, fault);
      }
    });
  }

  #pass(incoming: IncomingMessage, body: Buffer, response: ServerResponse, fault: ProxyFault | undefined): void {
    const { hostname, port } = this.#target;
    const { method, headers, url } = incoming;
    const outgoing = send({ hostname, port, method, headers, path: url }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        const bytes = Buffer.concat(chunks);
        if (fault === 'reply-lost') response.destroy();
        else if (fault === '500-after') response.writeHead(500, { 'x-ms-error-code': 'InternalError' }).end();
        else if (fault === 'half') {
          response.writeHead(answer.statusCode ?? 500, answer.headers);
          response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy());
        } else response.writeHead(answer.statusCode ?? 500, answer.headers).end(bytes);
      });
      answer.on('error', () => response.destroy());
    });
    outgoing.on('error', () => response.destroy());
    outgoing.end(body);
  }
}
