import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** What a book gets instead of the true answer; undefined = no answer, for ever. */
export type Misbehaviour = (method: string, truth: () => Promise<Answer>) => Promise<Answer | undefined>;

/**
 * Stands before the input API and passes everything on, but for the books that it is told to treat badly. Parts are asked
 * for by package id: the book is that of the request which the package was made for.
 */
export class Front {
  readonly #server: Server;
  readonly #behind: string;
  readonly #misbehaviours = new Map<string, Misbehaviour>();
  readonly #bookOfPackage = new Map<string, string>();
  /** Requests of a book that could not be passed on. */
  readonly #failures = new Map<string, number>();

  private constructor(behind: string) {
    this.#behind = behind;
    this.#server = createServer((request, answer) => {
      void this.#serve(request, answer).catch(() => answer.destroy());
    });
  }

  static async open(behind: string): Promise<Front> {
    const front = new Front(behind);
    await new Promise<void>((resolve) => front.#server.listen(0, '127.0.0.1', resolve));
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  misbehave(book: string, how: Misbehaviour): void {
    this.#misbehaviours.set(book, how);
  }

  behave(book: string): void {
    this.#misbehaviours.delete(book);
  }

  failuresOf(book: string): number {
    return this.#failures.get(book) ?? 0;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { method = 'GET', url = '' } = request;
    const book = method === 'POST' ? bookOf(body) : this.#bookOfPackage.get(url.split('/')[3] ?? '');
    const truth = async (): Promise<Answer> => {
      try {
        return await this.#passOn(request, body, book ?? '');
      } catch (error) {
        this.#failures.set(book ?? '', this.failuresOf(book ?? '') + 1);
        throw error;
      }
    };
    const behaviour = this.#misbehaviours.get(book ?? '');
    const told = behaviour === undefined ? await truth() : await behaviour(method, truth);
    if (told !== undefined) answer.writeHead(told.status, { 'content-type': told.contentType }).end(told.body);
  }

  async #passOn(request: IncomingMessage, body: Buffer, book: string): Promise<Answer> {
    const { method = 'GET', url = '' } = request;
    const kept = ['x-api-key', 'content-type', 'accept', 'traceparent', 'x-request-id'];
    const headers = kept.flatMap((name): [string, string][] => {
      const value = request.headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    });
    const sent = method === 'POST' ? { method, headers, body: new Uint8Array(body) } : { method, headers };
    const answer = await fetch(`${this.#behind}${url}`, sent);
    const packageId = answer.headers.get('etag')?.replaceAll('"', '');
    if (method === 'POST' && packageId !== undefined) this.#bookOfPackage.set(packageId, book);
    return {
      status: answer.status,
      contentType: answer.headers.get('content-type') ?? '',
      body: Buffer.from(await answer.arrayBuffer()),
    };
  }
}

function bookOf(body: Buffer): string {
  const request = JSON.parse(body.toString()) as { readonly requestKey: { readonly book: string } };
  return request.requestKey.book;
}

/** Packages as they are but for a change of the manifest. */
export function changedManifest(change: (manifest: Record<string, unknown>) => unknown): Misbehaviour {
  return async (method, truth) => {
    const answer = await truth();
    if (method !== 'POST') return answer;
    const manifest = JSON.parse(answer.body.toString()) as Record<string, unknown>;
    return { ...answer, body: Buffer.from(JSON.stringify(change(manifest))) };
  };
}

/** A log-in page of some proxy where an answer should be. */
export const loginPage: Misbehaviour = () =>
  Promise.resolve({
    status: 200,
    contentType: 'text/html',
    body: Buffer.from('<html><body>Please log in</body></html>'),
  });

/** Takes the request and never answers. */
export const silence: Misbehaviour = () => Promise.resolve(undefined);

/** Parts with other content than the manifest says. */
export const otherParts: Misbehaviour = async (method, truth) => {
  const answer = await truth();
  return method === 'GET' ? { ...answer, body: Buffer.from(answer.body).fill(0x20, 0, 8) } : answer;
};
