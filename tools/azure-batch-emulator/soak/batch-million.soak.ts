import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ended, startProcess } from '../test/helpers.ts';

/** A job of a million tasks: what lists, counts, additions and the emulator's memory cost at its end and at its beginning. */
const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, count: { type: 'string', default: '1000000' } },
});
const total = Number(values.count);
// V8 lets garbage lie for as long as it may have more memory: bounded, what is left is what the tasks cost.
process.env['NODE_OPTIONS'] =
  `${process.env['NODE_OPTIONS'] ?? ''} --max-old-space-size=64 --max-semi-space-size=4`.trim();
const folder = mkdtempSync(join(tmpdir(), 'batch-million-'));
const { endpoints, child } = await startProcess('--data', join(folder, 'data'));
const agent = new Agent({ keepAlive: true, maxSockets: 16 });
const broken: string[] = [];
const say = (text: string): void => void process.stdout.write(`${text}\n`);

function send(method: string, path: string, body?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const url = path.startsWith('http')
      ? path
      : `${endpoints.batch}${path}${path.includes('?') ? '&' : '?'}api-version=2025-06-01`;
    const outgoing = request(url, { method, agent, headers: { authorization: 'Bearer x', 'content-type': 'application/json' } }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if ((answer.statusCode ?? 500) >= 300) reject(new Error(`${method} ${path}: ${answer.statusCode ?? 0} ${text}`));
        else resolve(text);
      });
    }); // prettier-ignore
    outgoing.on('error', reject).end(body);
  });
}

const residentMb = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8'))?.[1] ?? NaN) / 1024;

/** The middle of some trials, in milliseconds. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let trial = 0; trial < 9; trial += 1) {
    const started = performance.now();
    await work();
    times.push(performance.now() - started);
  }
  return times.sort((left, right) => left - right)[4] ?? 0;
}

interface Mark {
  readonly tasks: number;
  readonly residentMb: number;
  readonly firstPageMs: number;
  readonly lastPageMs: number;
  readonly oneMs: number;
  readonly countsMs: number;
}

let lastLink = '/jobs/job/tasks?maxresults=1000&$select=id,state';
async function lastPage(): Promise<void> {
  for (;;) {
    const page = JSON.parse(await send('GET', lastLink)) as { 'odata.nextLink'?: string };
    if (page['odata.nextLink'] === undefined) return;
    lastLink = page['odata.nextLink'];
  }
}

async function measure(tasks: number): Promise<Mark> {
  await lastPage();
  return {
    tasks,
    residentMb: residentMb(),
    firstPageMs: await timed(() => send('GET', '/jobs/job/tasks?maxresults=1000&$select=id,state')),
    lastPageMs: await timed(() => send('GET', lastLink)),
    oneMs: await timed(() => send('GET', `/jobs/job/tasks/t${tasks - 1}`)),
    countsMs: await timed(() => send('GET', '/jobs/job/taskcounts')),
  };
}

await send('POST', '/jobs', JSON.stringify({ id: 'job', poolInfo: { poolId: 'none' } }));
const marks: Mark[] = [];
const steps = [total / 100, total / 10, total].map(Math.round);
let added = 0;
for (const step of steps) {
  const started = performance.now();
  const from = added;
  const lane = async (): Promise<void> => {
    while (added < step) {
      const first = added;
      added = Math.min(step, added + 100);
      const value = Array.from({ length: added - first }, (_, index) => ({ id: `t${first + index}`, commandLine: '/bin/true' }));
      await send('POST', '/jobs/job/addtaskcollection', JSON.stringify({ value }));
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
  const mark = await measure(step);
  marks.push(mark);
  const rate = ((step - from) / (performance.now() - started)) * 1000;
  say(`${step} tasks: ${mark.residentMb.toFixed(0)} MB, first page ${mark.firstPageMs.toFixed(1)} ms, last page ${mark.lastPageMs.toFixed(1)} ms, one task ${mark.oneMs.toFixed(2)} ms, counts ${mark.countsMs.toFixed(2)} ms; added ${rate.toFixed(0)} a second`);
} // prettier-ignore

const { active } = (JSON.parse(await send('GET', '/jobs/job/taskcounts')) as { taskCounts: { active: number } })
  .taskCounts;
if (active !== total) broken.push(`${active} of ${total} tasks are there`);
const [, early, late] = marks;
if (early !== undefined && late !== undefined) {
  for (const what of ['firstPageMs', 'lastPageMs', 'oneMs', 'countsMs'] as const) {
    if (late[what] > early[what] * 3 + 5)
      broken.push(`${what}: ${early[what]} at ${early.tasks}, ${late[what]} at ${late.tasks}`);
  }
  if (late.residentMb > early.residentMb + 64)
    broken.push(`memory: ${early.residentMb} MB, then ${late.residentMb} MB`);
}
await send('DELETE', '/jobs/job');
let slowest = 0;
const deletion = performance.now();
for (;;) {
  const started = performance.now();
  const there = await send('GET', '/jobs/job').then(() => true, () => false); // prettier-ignore
  slowest = Math.max(slowest, performance.now() - started);
  if (!there) break;
}
say(
  `deleted in ${((performance.now() - deletion) / 1000).toFixed(1)} s; meanwhile the slowest answer took ${slowest.toFixed(0)} ms`,
);
agent.destroy();
await ended(child, 'SIGTERM');
rmSync(folder, { recursive: true, force: true });
for (const line of broken) say(`BROKEN ${line}`);
process.exitCode = broken.length === 0 ? 0 : 1;
