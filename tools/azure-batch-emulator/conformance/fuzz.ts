import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { seededRandom } from '@xva/emulator-kit';
import { Draw, malformed, type Malformed } from './malformed.ts';

export interface FuzzResult {
  readonly sent: number;
  /** Answers by what they were: `400 InvalidUri`, `closed`, … */
  readonly answers: ReadonlyMap<string, number>;
  /** What broke a promise, with the number that replays it: the first two of each kind, twenty in all. */
  readonly broken: readonly string[];
  /** Growth of the emulator's resident size, in MB, from the first third to the end; undefined where there is no /proc. */
  readonly grownMb: number | undefined;
}

const answerWithinMs = 10_000;

/** Sends bytes on a connection of its own; what came back until the other side closed, or undefined when it never did. */
function exchange(port: number, bytes: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1');
    const timer = setTimeout(() => {
      socket.destroy();
      resolve(undefined);
    }, answerWithinMs);
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
    socket.write(bytes);
    // What is half a request stays so: the end tells the server that nothing more comes.
    socket.end();
  });
}

/** What an answer is, or what is wrong with it. */
function judge(request: Malformed, answer: Buffer | undefined): { readonly kind: string; readonly fault?: string } {
  if (answer === undefined) return { kind: 'hang', fault: `no end within ${answerWithinMs} ms` };
  if (answer.length === 0)
    return request.raw ? { kind: 'closed' } : { kind: 'closed', fault: 'closed without an answer' };
  const text = answer.toString('utf8');
  const end = text.indexOf('\r\n\r\n');
  const head = text.slice(0, end).toLowerCase();
  const status = Number(/^http\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
  if (status === 100) return { kind: 'continue' };
  if (status >= 200 && status < 400) return { kind: `${status}` };
  // 501: what the emulator lacks. 503: autoscale is set up at most once in so long, as on the service.
  const throttled = status === 503 && text.includes('"TooManyEnableAutoScaleRequests"');
  if (status < 400 || (status >= 500 && status !== 501 && !throttled))
    return { kind: `${status}`, fault: `status ${status}: ${text.slice(0, 600)}` };
  if (request.method === 'HEAD') return { kind: `${status}` };
  let body: { code?: unknown; message?: { lang?: unknown; value?: unknown } };
  try {
    const raw = text.slice(end + 4);
    body = JSON.parse(
      /transfer-encoding: chunked/.test(head) ? raw.replace(/^[0-9a-f]+\r\n/i, '').replace(/\r\n0\r\n\r\n$/, '') : raw,
    ) as typeof body;
  } catch {
    return { kind: `${status}`, fault: `no JSON: ${text.slice(0, 600)}` };
  }
  const shaped =
    typeof body.code === 'string' && typeof body.message?.value === 'string' && typeof body.message.lang === 'string';
  if (!shaped || !/content-type: application\/json/.test(head))
    return { kind: `${status}`, fault: `not Batch's shape: ${text.slice(0, 600)}` };
  return { kind: `${status} ${String(body.code)}` };
}

function residentMb(pid: number): number | undefined {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024;
  } catch {
    return undefined;
  }
}

/** What the requests are about is there again, whatever became of it. */
async function restore(port: number): Promise<void> {
  const put = async (path: string, body: object): Promise<void> => {
    const text = JSON.stringify(body);
    const head = `POST ${path}?api-version=2025-06-01 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer t\r\nconnection: close\r\ncontent-length: ${text.length}`;
    await exchange(port, Buffer.from(`${head}\r\n\r\n${text}`));
  };
  await put('/pools', { id: 'p', vmSize: 'x', targetDedicatedNodes: 0 });
  for (const id of ['j', 'gone']) await put('/jobs', { id, poolInfo: { poolId: 'p' }, usesTaskDependencies: true });
  for (const id of ['t', 'gone']) await put('/jobs/j/tasks', { id, commandLine: '/bin/true' });
}

/** A request that must always be answered by 200. */
const healthy = Buffer.from(
  'GET /jobs?api-version=2025-06-01&$select=id&maxresults=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer t\r\nconnection: close\r\n\r\n',
);

/**
 * Sends `count` malformed requests, each drawn from `seed` and its own number, 16 at a time. Every answer must be an error
 * of Batch's shape (or a success, when the fault does not matter), and a healthy request is answered between them.
 */
export async function fuzz(options: {
  url: string;
  pid: number;
  count: number;
  seed: number;
  only?: number | undefined;
}): Promise<FuzzResult> {
  const { pid, count, seed, only } = options;
  const port = Number(new URL(options.url).port);
  const answers = new Map<string, number>();
  const broken: string[] = [];
  const sorts = new Map<string, number>();
  let next = only ?? 0;
  const last = only ?? count - 1;
  let early: number | undefined;
  await restore(port);
  const worker = async (): Promise<void> => {
    for (let number = next++; number <= last; number = next++) {
      const request = malformed(new Draw(seededRandom(seed * 1_000_003 + number)));
      if (only !== undefined) console.log(request.bytes.toString('latin1').slice(0, 4_000));
      const { kind, fault } = judge(request, await exchange(port, request.bytes));
      answers.set(kind, (answers.get(kind) ?? 0) + 1);
      if (fault !== undefined) {
        const sort = fault.split('\r\n')[0] ?? '';
        sorts.set(sort, (sorts.get(sort) ?? 0) + 1);
        if ((sorts.get(sort) ?? 0) <= 2 && broken.length < 20)
          broken.push(`number ${number} (${request.about}): ${fault}`);
      }
      if (number % 200 === 0) await restore(port);
      if (number % 500 === 0 && !/^HTTP\/1.1 200/.test((await exchange(port, healthy))?.toString() ?? '')) {
        if (broken.length < 20) broken.push(`number ${number}: a healthy request is not answered after it`);
      }
      if (number === Math.floor(count / 3)) early = residentMb(pid);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  const late = residentMb(pid);
  const grownMb = early === undefined || late === undefined ? undefined : late - early;
  return { sent: last - (only ?? 0) + 1, answers, broken, grownMb };
}
