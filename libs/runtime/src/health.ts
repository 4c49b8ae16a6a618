import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { describeError } from './logging.ts';

/** One thing that must be so for a component to do its work. */
export interface Check {
  readonly name: string;
  /** Resolves with a short detail when all is well, rejects with the reason when not. */
  readonly run: (signal: AbortSignal) => Promise<string>;
}

export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly tookMs: number;
}

/** Runs all checks side by side, each within `timeoutMs`. */
export async function runChecks(checks: readonly Check[], timeoutMs = 5_000): Promise<readonly CheckResult[]> {
  return Promise.all(
    checks.map(async ({ name, run }) => {
      const started = performance.now();
      const signal = AbortSignal.timeout(timeoutMs);
      const timedOut = new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error(`no answer within ${timeoutMs} ms`)), { once: true });
      });
      try {
        const detail = await Promise.race([run(signal), timedOut]);
        return { name, ok: true, detail, tookMs: Math.round(performance.now() - started) };
      } catch (error) {
        const { message } = describeError(error);
        return { name, ok: false, detail: String(message), tookMs: Math.round(performance.now() - started) };
      }
    }),
  );
}

export interface OpsAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** What `/healthz`, `/readyz` and `/metrics` answer; undefined for any other path. */
export async function answerOps(
  path: string,
  options: { readonly checks: readonly Check[]; readonly registry: Registry; readonly stopping: AbortSignal },
): Promise<OpsAnswer | undefined> {
  const json = (status: number, body: unknown): OpsAnswer => ({
    status,
    contentType: 'application/json',
    body: `${JSON.stringify(body)}\n`,
  });
  if (path === '/healthz') return json(200, { status: 'alive' });
  if (path === '/metrics') {
    return { status: 200, contentType: options.registry.contentType, body: await options.registry.metrics() };
  }
  if (path !== '/readyz') return undefined;
  if (options.stopping.aborted) return json(503, { status: 'stopping' });
  const checks = await runChecks(options.checks);
  const ready = checks.every((check) => check.ok);
  return json(ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', checks });
}

export interface OpsServer {
  readonly url: string;
  close(): Promise<void>;
}

/** The operations port of a component that has no HTTP of its own. Port 0 = any free one. */
export async function startOpsServer(
  options: Parameters<typeof answerOps>[1] & { readonly host: string; readonly port: number },
): Promise<OpsServer> {
  const server: Server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://ops').pathname;
    answerOps(path, options).then(
      (answer) => {
        const { status, contentType, body } = answer ?? { status: 404, contentType: 'text/plain', body: 'not found\n' };
        response.writeHead(status, { 'content-type': contentType }).end(body);
      },
      (error: unknown) => response.writeHead(500).end(`${String(describeError(error)['message'])}\n`),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
