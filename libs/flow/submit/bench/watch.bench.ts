/**
 * `npm run bench -- watch [--quick]`: what it costs to follow 1,000 jobs with 100,000 tasks on the Batch emulator (a process
 * of its own): the controller's loop as it is, which asks for what changed, and the same loop listing every task each time,
 * in turns, at the same pace. In the end tasks are ended and what the loop's watch then knows is compared with a full list.
 */
import { subscribe } from 'node:diagnostics_channel';
import { parseArgs } from 'node:util';
import { jobIdOf, type RunRecord } from '@xva/contracts';
import { silentLogger, systemClock } from '@xva/runtime';
import { batchAccount, sampleRecord, startBatchEmulatorProcess } from '@xva/testkit';
import { ManifestCache, RunLoop, TaskWatch, type BatchPort, type SubmitDeps } from '../src/index.ts';
import { policy, World } from '../test/world.ts';

// The arrows let no flow import an adapter; a benchmark of both is the exception, made where it is needed.
// eslint-disable-next-line @nx/enforce-module-boundaries -- nothing of the flow itself depends on it
const { BatchAdapter } = await import('@xva/azure-batch');

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const jobs = values.quick ? 50 : 1_000;
const tasksPerJob = values.quick ? 20 : 100;
const secondsEach = values.quick ? 4 : 30;
const rounds = values.quick ? 1 : 2;
const print = (line: string): void => void process.stdout.write(`${line}\n`);

let requests = 0;
subscribe('http.client.request.start', () => (requests += 1));

const emulator = await startBatchEmulatorProcess({ limits: { activeJobsAndSchedules: jobs + 10 } });
const adapter = new BatchAdapter({
  endpoint: emulator.url,
  accountName: batchAccount.name,
  accountKey: batchAccount.keyBase64,
});

const shards = Array.from({ length: tasksPerJob }, (_shard, index) => ({
  taskId: `shard-${String(index + 1).padStart(4, '0')}`,
  nettingSets: [`NS-${index}`],
  costSeconds: 300,
}));
const taskIds = shards.map((shard) => shard.taskId);

function recordOf(index: number): RunRecord {
  const runId = `xva-20260930-watch-${String(index).padStart(5, '0')}`;
  const at = new Date().toISOString();
  return sampleRecord(runId, {
    state: 'running',
    plan: { schemaVersion: '1.0', sharedInputHash: 'b'.repeat(64), shards },
    attempts: [
      {
        attempt: 1,
        jobId: jobIdOf(runId, 1),
        poolId: 'pool',
        tasks: taskIds,
        reason: 'first',
        startedAt: at,
        submittedAt: at,
      },
    ],
    startedAt: at,
  });
}

const records = Array.from({ length: jobs }, (_job, index) => recordOf(index));
const task = (id: string) => ({
  ...{ id, commandLine: '/bin/true', resourceFiles: [], outputFiles: [], environment: {}, requiredSlots: 1 },
});

const filled = performance.now();
const queue = [...records];
const fill = async (): Promise<void> => {
  for (let record = queue.shift(); record !== undefined; record = queue.shift()) {
    const id = jobIdOf(record.runId, 1);
    await adapter.addJob({ id, poolId: 'pool', priority: 0, metadata: {} });
    const added = await adapter.addTasks(id, taskIds.map(task));
    if (added.outcome !== 'added') throw new Error(`${id}: ${added.outcome}`);
  }
};
await Promise.all(Array.from({ length: 8 }, fill));
print(`${jobs} jobs, ${jobs * tasksPerJob} tasks, added in ${((performance.now() - filled) / 1000).toFixed(1)} s`);

interface Cost {
  readonly requestsPerSecond: number;
  readonly cpuPerSecond: number;
  readonly looksPerSecond: number;
}

/** Follows every job with a loop of its own for a while, after it has seen each once. */
async function follow(batch: BatchPort): Promise<Cost> {
  const world = new World();
  for (const record of records) await world.runs.insert(record);
  const deps: SubmitDeps = {
    ...{ runs: world.runs, batch, work: world.work, ledger: world.ledger, clock: systemClock, policy },
    manifests: new ManifestCache(world.work.objects),
    logger: silentLogger,
  };
  let passes = 0;
  const options = {
    ...{ pollMs: 1_000, pollMaxMs: 10_000, discoverMs: 10_000, deepMs: 15_000, quotaRetryMs: 30_000, concurrency: 16 },
    maxOutstandingTasks: jobs * tasksPerJob * 2,
  };
  const loop = new RunLoop(deps, options, { onPass: () => (passes += 1) });
  const stop = new AbortController();
  const running = loop.run(stop.signal);
  while (passes < jobs * 2) await new Promise((resolve) => setTimeout(resolve, 50));
  const before = { requests, passes, cpu: process.cpuUsage(), at: performance.now() };
  await new Promise((resolve) => setTimeout(resolve, secondsEach * 1000));
  const seconds = (performance.now() - before.at) / 1000;
  const cpu = process.cpuUsage(before.cpu);
  const cost = {
    requestsPerSecond: (requests - before.requests) / seconds,
    cpuPerSecond: (cpu.user + cpu.system) / 1e6 / seconds,
    looksPerSecond: (passes - before.passes) / seconds,
  };
  stop.abort();
  await running;
  return cost;
}

/** The same port without its word of what changed. */
const listing = new Proxy<BatchPort>(adapter, {
  get: (target, key) => {
    if (key === 'changedTasks') return undefined;
    const value: unknown = Reflect.get(target, key, target);
    return typeof value === 'function' ? (value.bind(target) as unknown) : value;
  },
});

const sides = [
  { name: 'what changed', batch: adapter as BatchPort, costs: [] as Cost[] },
  { name: 'every task listed', batch: listing, costs: [] as Cost[] },
];
for (let round = 0; round < rounds; round += 1) {
  for (const side of round % 2 === 0 ? sides : [...sides].reverse()) side.costs.push(await follow(side.batch));
}
for (const { name, costs } of sides) {
  for (const { looksPerSecond, requestsPerSecond, cpuPerSecond } of costs) {
    const perLook = (cpuPerSecond / looksPerSecond) * 1000;
    print(
      `${name.padEnd(20)} ${looksPerSecond.toFixed(0).padStart(5)} looks/s, ${requestsPerSecond.toFixed(0).padStart(5)} requests/s, ` +
        `${(cpuPerSecond * 100).toFixed(1).padStart(5)} % of a core, ${perLook.toFixed(2)} ms CPU a look`,
    );
  }
}
const perLook = ({ cpuPerSecond, looksPerSecond }: Cost): number => cpuPerSecond / looksPerSecond;
const ratios = sides[0]!.costs.map((cost, round) => perLook(sides[1]!.costs[round]!) / perLook(cost));
print(`CPU of a full list over what changed: ${ratios.map((one) => `${one.toFixed(1)}x`).join(', ')}`);

// Read back and compared: what the watch says after tasks have ended is what a list says.
const watch = new TaskWatch(adapter, systemClock, { fullMs: 600_000 });
const probes = records.slice(0, 20).map((record) => jobIdOf(record.runId, 1));
for (const id of probes) await watch.look(id, false);
for (const id of probes) await watch.look(id, false);
for (const id of probes) for (const taskId of taskIds.slice(0, 3)) await adapter.terminateTask(id, taskId);
let wrong = 0;
for (const id of probes) {
  const seen = new Map((await watch.look(id, false))?.map((one) => [one.id, one.state]));
  for (const one of (await adapter.listTasks(id)) ?? []) if (seen.get(one.id) !== one.state) wrong += 1;
}
print(
  `${probes.length} jobs with 3 tasks ended: ${wrong} of ${probes.length * tasksPerJob} tasks seen otherwise than listed`,
);
adapter.close();
await emulator.stop();
process.exitCode = wrong === 0 ? 0 : 1;
