/**
 * `npm run bench -- sweep [--quick] [--only azurite,stand-in,batch,expiry]`: the collector against the Azure CLI and the
 * Python SDK on Azurite (a fresh one per side), and alone on a Blob stand-in and the Batch emulator for rate and memory.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { Agent, request } from 'node:http';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildSync } from 'esbuild';
import { BatchAdapter } from '@xva/azure-batch';
import { BlobAccount } from '@xva/azure-storage';
import { batchAccount, pythonClient, startAzurite, startBatchEmulatorProcess } from '@xva/testkit';
import { GcRig } from '../test/world.ts';
import { configSchema } from '../src/config.ts';
import { benchPolicy, scratchRule, storageDeps, timedCycle } from './rig.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } } });
const { quick } = values;
const wanted = (part: string): boolean => values.only === undefined || values.only.split(',').includes(part);
const print = (line = ''): void => void process.stdout.write(`${line}\n`);
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning', '--expose-gc'];
let missed = 0;
const aim = (text: string, met: boolean): string => {
  if (!met) missed += 1;
  return `aim ${text}: ${met ? 'met' : 'MISSED'}`;
};
const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const spread = (numbers: readonly number[]): string =>
  `${median(numbers).toFixed(2)} (${Math.min(...numbers).toFixed(2)} to ${Math.max(...numbers).toFixed(2)})`;

const hasAz = spawnSync('az', ['version'], { stdio: 'ignore' }).status === 0;

async function upload(account: BlobAccount, container: string, names: readonly string[]): Promise<void> {
  const target = account.container(container);
  await target.ensure();
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < names.length; at = next++) await target.put(names[at] ?? '', 'x');
  };
  await Promise.all(Array.from({ length: 16 }, work));
}

async function leftIn(account: BlobAccount, container: string): Promise<number> {
  let left = 0;
  for await (const _blob of account.container(container).list()) left += 1;
  return left;
}

/** One side on an Azurite of its own; milliseconds, after checking that nothing is left. */
interface Side {
  readonly name: string;
  readonly run: (connection: string, account: BlobAccount, count: number) => Promise<number>;
}

function az(args: readonly string[], connection: string): number {
  const started = performance.now();
  const result = spawnSync('az', [...args, '--connection-string', connection, '-o', 'none'], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`az ${args.join(' ')}: ${result.stderr}`);
  return performance.now() - started;
}

const runContainers = 8;
const containersOf = (): string[] =>
  Array.from({ length: runContainers }, (_unused, index) => `run-xva-20200101-bench-${'abcdefgh'[index]}aaaaaaaaaaaaa`);

async function uploadRuns(account: BlobAccount, count: number): Promise<void> {
  const each = Array.from({ length: count / runContainers }, (_unused, index) => `a1/shard-0001/${index}`);
  for (const name of containersOf()) await upload(account, name, each);
}

const blobsOf = (count: number): string[] => Array.from({ length: count }, (_unused, index) => `scratch/${index}`);
const blobSide = (name: string, run: (connection: string) => Promise<number> | number): Side => ({
  name,
  run: async (connection, account, count) => {
    await upload(account, 'uploads', blobsOf(count));
    const ms = await run(connection);
    const left = await leftIn(account, 'uploads');
    if (left !== 0) throw new Error(`${name}: ${left} blobs are left`);
    return ms;
  },
});

const sides: readonly Side[] = [
  blobSide('collector, blob by blob (mark and sweep)', async (connection) => {
    const took = await timedCycle(storageDeps(connection), benchPolicy('off', {}, [scratchRule]));
    return took.markMs + took.sweepMs;
  }),
  blobSide('collector, with copies in quarantine', async (connection) => {
    const took = await timedCycle(storageDeps(connection), benchPolicy('copy', {}, [scratchRule]));
    return took.markMs + took.sweepMs;
  }),
  blobSide('Python delete_blobs (list and delete)', (connection) => {
    const { python, env } = pythonClient('azure-storage-blob');
    const result = spawnSync(python, [file('peers.py'), connection, 'uploads', 'scratch/'], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    if (result.status !== 0) throw new Error(result.stderr);
    return Number(result.stdout);
  }),
  ...(hasAz
    ? [
        blobSide('az storage blob delete-batch', (connection) =>
          az(['storage', 'blob', 'delete-batch', '-s', 'uploads'], connection),
        ),
      ]
    : []),
  {
    name: 'collector, whole runs (mark and sweep)',
    run: async (connection, account, count) => {
      await uploadRuns(account, count);
      const took = await timedCycle(
        storageDeps(connection),
        benchPolicy('off', { orphanedRuns: { retainSeconds: 0 } }),
      );
      if (took.swept !== runContainers) throw new Error(`${took.swept} of ${runContainers} containers were swept`);
      return took.markMs + took.sweepMs;
    },
  },
  ...(hasAz
    ? [
        {
          name: 'az storage container delete, one by one',
          run: async (connection: string, account: BlobAccount, count: number) => {
            await uploadRuns(account, count);
            return containersOf().reduce(
              (sum, name) => sum + az(['storage', 'container', 'delete', '-n', name], connection),
              0,
            );
          },
        },
      ]
    : []),
];

async function onAzurite(): Promise<void> {
  const count = quick ? 64 : 512;
  const rounds = quick ? 1 : 3;
  print(
    `== Azurite, ${count} blobs per side, a fresh one for each, ${rounds} round(s) in turns${hasAz ? '' : '; az is not installed: its sides are left out'}`,
  );
  const rates = new Map<string, number[]>();
  for (let round = 0; round < rounds; round += 1) {
    for (const side of sides) {
      const azurite = await startAzurite();
      try {
        const account = new BlobAccount({ connectionString: azurite.connectionString });
        await account.container('sweeps').ensure();
        const ms = await side.run(azurite.connectionString, account, count);
        rates.set(side.name, [...(rates.get(side.name) ?? []), (count / ms) * 1000]);
        print(`  round ${round + 1}, ${side.name}: ${Math.round(ms)} ms`);
      } finally {
        await azurite.stop();
      }
    }
  }
  for (const [name, found] of rates) print(`${name.padEnd(44)} ${spread(found)} blobs/s`);
  const of = (name: string): number[] => [...rates].find(([known]) => known.startsWith(name))?.[1] ?? [];
  const ratios = (a: string, b: string): number[] => of(a).map((rate, round) => rate / (of(b)[round] ?? Number.NaN));
  const python = ratios('collector, blob', 'Python');
  const cli = hasAz ? ratios('collector, blob', 'az storage blob') : [];
  const worse = Math.min(median(python), hasAz ? median(cli) : Number.POSITIVE_INFINITY);
  print(
    `blob by blob / Python delete_blobs ${spread(python)}${hasAz ? `; / delete-batch ${spread(cli)}` : ''}; ${aim('no slower than the better of them', worse >= 1)}`,
  );
  if (!hasAz) return;
  const runs = ratios('collector, whole', 'az storage blob');
  print(`whole runs / delete-batch ${spread(runs)}; ${aim('at least 10', median(runs) >= 10)}`);
  print(`whole runs / az container delete ${spread(ratios('collector, whole', 'az storage container'))}`);
}

/**
 * The collecting child as the container has it: bundled, and with a heap that is kept small. From its sources a process
 * that does nothing holds 146 MB already, most of it for reading TypeScript.
 */
function bundledCycle(): string {
  const folder = mkdtempSync(join(tmpdir(), 'xva-gc-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const outfile = join(folder, 'cycle.mjs');
  buildSync({
    entryPoints: [file('cycle-child.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['@xva/source'],
    outfile,
    logLevel: 'error',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
  return outfile;
}

const memoryFlags = ['--max-old-space-size=64', '--max-semi-space-size=2', '--optimize-for-size'];
/** One arena of the C library's allocator: with one a thread, freed list pages stay with the process. */
const memoryEnv = { MALLOC_ARENA_MAX: '1' };

class Child {
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #interface: Interface;

  constructor(script: string, args: readonly string[]) {
    const isBundle = script.endsWith('.mjs');
    const own = isBundle ? ['--expose-gc', ...memoryFlags, '--no-deprecation', script] : [...flags, file(script)];
    this.process = spawn(process.execPath, [...own, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...(isBundle ? memoryEnv : {}) },
    });
    this.#interface = createInterface({ input: this.process.stdout ?? process.stdin });
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the child ended');
    return value;
  }

  ask(text: string): Promise<string> {
    this.process.stdin?.write(`${text}\n`);
    return this.line();
  }

  async stop(): Promise<void> {
    const over = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.stdin?.end();
    this.process.kill('SIGKILL');
    await over;
  }
}

interface ChildTook {
  readonly looked: number;
  readonly swept: number;
  readonly markMs: number;
  readonly sweepMs: number;
  readonly peakMb: number;
  readonly baseMb: number;
  readonly heldMb: number;
}

/** Batches whose bodies were made before the clock starts: what the stand-in takes at most. Rate in blobs a second. */
async function floor(connection: string, due: readonly (readonly [string, string])[]): Promise<number> {
  const endpoint = new URL(/BlobEndpoint=([^;]+)/.exec(connection)?.[1] ?? '');
  const bodies: string[] = [];
  for (let at = 0; at < due.length; at += 256) {
    const parts = due.slice(at, at + 256).map(([name, etag], index) => {
      const head = `--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: ${index}\r\n\r\n`;
      return `${head}DELETE ${endpoint.pathname}/uploads/${name} HTTP/1.1\r\nif-match: ${etag}\r\n\r\n\r\n`;
    });
    bodies.push(`${parts.join('')}--b--\r\n`);
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const path = `${endpoint.pathname}/uploads?restype=container&comp=batch`;
  const send = (body: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'multipart/mixed; boundary=b', 'content-length': Buffer.byteLength(body) };
      const outgoing = request(
        { host: endpoint.hostname, port: endpoint.port, method: 'POST', path, agent, headers },
        (answer) => {
          answer.resume();
          answer.on('end', () => resolve());
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  const started = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < bodies.length; at = next++) await send(bodies[at] ?? '');
  };
  await Promise.all(Array.from({ length: 4 }, work));
  agent.destroy();
  return (due.length / (performance.now() - started)) * 1000;
}

async function onStandIn(): Promise<void> {
  const sizes = quick ? [2_000, 20_000] : [100_000, 1_000_000];
  print(`== Blob stand-in, half of the blobs due; collector started with ${memoryFlags.join(' ')} MALLOC_ARENA_MAX=1`);
  const peaks: number[] = [];
  for (const size of sizes) {
    const floored = new Child('stand-in-child.ts', [String(size)]);
    const floorAt = await floored.line();
    const floorRate = await floor(floorAt, JSON.parse(await floored.ask('due')) as [string, string][]);
    const { due: floorLeft } = JSON.parse(await floored.ask('left')) as { due: number };
    await floored.stop();
    if (floorLeft !== 0) throw new Error(`the floor left ${floorLeft} blobs`);
    const standIn = new Child('stand-in-child.ts', [String(size)]);
    const cycle = new Child(bundledCycle(), ['blobs', await standIn.line()]);
    const took = JSON.parse(await cycle.line()) as ChildTook;
    await cycle.stop();
    const { left, due } = JSON.parse(await standIn.ask('left')) as { left: number; due: number };
    await standIn.stop();
    if (due !== 0 || left !== size / 2) throw new Error(`${due} blobs that were due are left, ${left} in all`);
    peaks.push(took.peakMb);
    const decided = (took.looked / took.markMs) * 1000;
    const deleted = (took.swept / took.sweepMs) * 1000;
    print(
      `${size} blobs: listed and decided ${Math.round(decided)}/s; ${took.swept} deleted ${Math.round(deleted)}/s, ${(deleted / floorRate).toFixed(2)} of pre-built bodies (${Math.round(floorRate)}/s); peak RSS ${took.peakMb.toFixed(0)} MB (${took.baseMb.toFixed(0)} MB before it began), still held after a collection at most ${took.heldMb.toFixed(0)} MB`,
    );
    if (size === sizes.at(-1)) {
      print(aim('listed and decided at 20,000/s', decided >= 20_000));
      print(aim('peak RSS under 150 MB', took.peakMb < 150));
    }
  }
  const growth = (peaks.at(-1) ?? 0) / (peaks[0] ?? 1);
  print(`peak RSS of the larger / the smaller ${growth.toFixed(2)}; ${aim('at most 1.1', growth <= 1.1)}`);
}

async function onBatch(): Promise<void> {
  const [jobs, tasks] = quick ? [20, 20] : [1_000, 100];
  print(`== Batch emulator, ${jobs} jobs without a record, ${tasks} tasks each`);
  const [azurite, emulator] = await Promise.all([
    startAzurite(),
    startBatchEmulatorProcess({ pools: [], limits: { activeJobsAndSchedules: 100_000 } }),
  ]);
  const batch = new BatchAdapter({
    endpoint: emulator.url,
    accountName: batchAccount.name,
    accountKey: batchAccount.keyBase64,
  });
  try {
    await new BlobAccount({ connectionString: azurite.connectionString }).container('sweeps').ensure();
    for (let index = 0; index < jobs; index += 1) {
      const id = `xva-20200101-b-${index.toString(36).padStart(6, '0')}-a1`;
      await batch.addJob({ id, poolId: 'nobody', priority: 0, metadata: {} });
      const specs = Array.from({ length: tasks }, (_unused, task) => ({
        id: `shard-${task}`,
        commandLine: 'true',
        resourceFiles: [],
        outputFiles: [],
        environment: {},
        requiredSlots: 1,
      }));
      await batch.addTasks(id, specs);
    }
    const cycle = new Child(bundledCycle(), [
      'batch',
      azurite.connectionString,
      emulator.url,
      batchAccount.name,
      batchAccount.keyBase64,
    ]);
    const took = JSON.parse(await cycle.line()) as ChildTook;
    await cycle.stop();
    let left = 0;
    for await (const job of batch.listJobs()) if (job.state === 'active') left += 1;
    if (left !== 0) throw new Error(`${left} jobs are left`);
    print(
      `decided in ${(took.markMs / 1000).toFixed(1)} s (${Math.round((jobs * tasks * 1000) / took.markMs)} tasks/s), ${took.swept} jobs swept in ${(took.sweepMs / 1000).toFixed(1)} s (${Math.round((took.swept * 1000) / took.sweepMs)} jobs/s); peak RSS ${took.peakMb.toFixed(0)} MB; ${aim('under 150 MB', took.peakMb < 150)}`,
    );
  } finally {
    batch.close();
    await Promise.all([azurite.stop(), emulator.stop()]);
  }
}

async function expiry(): Promise<void> {
  const retainSeconds = 5;
  const schedule = '*/10 * * * * *';
  print(`== from expiry to gone, cycle every 10 s, sweeping on, quarantine off`);
  const rule = { retainSeconds };
  const rig = await GcRig.start({
    schemaVersion: '1.0',
    name: 'expiry',
    minimumAgeSeconds: 0,
    settleSeconds: 5,
    ceiling: { percent: 100 },
    quarantine: { mode: 'off' },
    rules: { deadLetters: rule, orphanedRuns: rule },
  });
  const env = { ...rig.env, XVA_SCHEDULE: schedule, XVA_SWEEP_ENABLED: 'true' };
  const collector = spawn(process.execPath, [...flags, file('../src/main.ts'), 'run'], { env, stdio: 'ignore' });
  try {
    const letters = rig.account.container('deadletters');
    const times: number[] = [];
    for (let round = 0; round < (quick ? 1 : 4); round += 1) {
      await letters.put('letter.json', '{}');
      const due = Date.now() + retainSeconds * 1000;
      while ((await letters.head('letter.json')) !== undefined) {
        if (Date.now() - due > 120_000) throw new Error('the letter was not taken within two minutes');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      times.push((Date.now() - due) / 1000);
    }
    print(`${spread(times)} s; ${aim('at most 60 s', Math.max(...times) <= 60)}`);
    const defaults = configSchema.parse({ batchUrl: 'http://x', batchAccount: 'x', policyFile: 'x' });
    print(
      `default configuration: sweepEnabled ${defaults.sweepEnabled} (it marks and reports, and takes nothing); switched on, the schedule ${defaults.schedule} takes it after at most 60 min, its copy stays in quarantine for 7 days`,
    );
  } finally {
    collector.kill('SIGKILL');
    await rig.stop();
  }
}

if (wanted('azurite')) await onAzurite();
if (wanted('stand-in')) await onStandIn();
if (wanted('batch')) await onBatch();
if (wanted('expiry')) await expiry();
print(missed === 0 ? 'all aims met' : `${missed} aim(s) missed`);
