import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { FaultBoard, FaultRule } from './faults.ts';
import type { Transcript } from './transcript.ts';

/** An extra verb of one emulator's control port: `POST /control/<name>` with a JSON body, JSON answer. */
export type ControlVerb = (body: unknown) => unknown;

export interface ControlOptions {
  readonly name: string;
  readonly faults: FaultBoard;
  readonly transcript: Transcript;
  readonly verbs?: Readonly<Record<string, ControlVerb>>;
  /** Empty when healthy, otherwise why not. */
  readonly unhealthy?: () => string;
}

const maxBodyBytes = 1024 * 1024;

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new Error(`control body exceeds ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

function isRule(value: unknown): value is FaultRule {
  const rule = value as Partial<FaultRule> | null;
  return typeof rule?.point === 'string' && typeof rule.action?.kind === 'string';
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body ?? null)}\n`);
}

/**
 * The control port of an emulator, apart from the port that imitates the service.
 *
 * `GET /health` · `GET|POST|DELETE /control/faults` · `DELETE /control/faults/<id>` · `GET|DELETE /control/transcript` ·
 * `POST /control/<verb>`. It has no authentication: it binds to loopback only.
 */
export function createControlServer(options: ControlOptions): Server {
  const { faults, transcript } = options;
  return createServer((request, response) => {
    void (async () => {
      const path = new URL(request.url ?? '/', 'http://control').pathname;
      const route = `${request.method} ${path}`;
      if (route === 'GET /health') {
        const reason = options.unhealthy?.() ?? '';
        const body =
          reason === ''
            ? { status: 'healthy', message: 'Service is healthy.' }
            : { status: 'unhealthy', message: reason };
        return answer(response, reason === '' ? 200 : 503, body);
      }
      if (route === 'GET /control/faults') return answer(response, 200, faults.list());
      if (route === 'POST /control/faults') {
        const body = await readJson(request);
        const rules = (Array.isArray(body) ? body : [body]) as unknown[];
        if (!rules.every(isRule)) return answer(response, 400, { error: 'a fault rule needs point and action.kind' });
        return answer(response, 201, { ids: rules.map((rule) => faults.arm(rule)) });
      }
      if (route === 'DELETE /control/faults') return answer(response, 200, faults.clear());
      if (request.method === 'DELETE' && path.startsWith('/control/faults/')) {
        const found = faults.disarm(decodeURIComponent(path.slice('/control/faults/'.length)));
        return answer(response, found ? 200 : 404, { removed: found });
      }
      if (route === 'GET /control/transcript') return answer(response, 200, transcript.entries());
      if (route === 'DELETE /control/transcript') return answer(response, 200, transcript.clear());
      const verb = options.verbs?.[path.slice('/control/'.length)];
      if (request.method === 'POST' && path.startsWith('/control/') && verb !== undefined) {
        return answer(response, 200, await verb(await readJson(request)));
      }
      const verbs = Object.keys(options.verbs ?? {}).join(', ') || 'none';
      return answer(response, 404, { error: `${options.name} has no control ${route}; verbs: ${verbs}` });
    })().catch((error: unknown) => answer(response, 400, { error: String(error) }));
  });
}
