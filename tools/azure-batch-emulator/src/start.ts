import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  closeServer,
  createControlServer,
  FaultBoard,
  listen,
  Transcript,
  trackSockets,
  type StartedEmulator,
} from '@xva/emulator-kit';
import { parseConfig, type EmulatorConfig, type EmulatorConfigInput } from './config.ts';
import type { Backend } from './http/call.ts';
import { BatchServer, type TlsFiles } from './http/server.ts';
import { createPool } from './ops/pools.ts';
import { createScheduledJob } from './ops/create-job.ts';
import { checkCgroup } from './run/cgroup.ts';
import { findRuntime, removeContainers, type ContainerRuntime } from './run/containers.ts';
import { killLeftovers } from './run/leftovers.ts';
import { findProgram, GroupWatch } from './run/limits.ts';
import { StorageClient } from './run/storage.ts';
import { Clock } from './schedule/clock.ts';
import { Core } from './schedule/core.ts';
import { Dispatcher } from './schedule/dispatch.ts';
import { Fleet } from './schedule/fleet.ts';
import { JobLife } from './schedule/job-life.ts';
import { Machine } from './schedule/machine.ts';
import { NodeLife } from './schedule/node-life.ts';
import { NodeWork } from './schedule/node-work.ts';
import { coresOf, type Quotas } from './schedule/quotas.ts';
import { recover } from './schedule/recover.ts';
import { Scaler } from './schedule/scaler.ts';
import { ScheduleLife } from './schedule/schedule-life.ts';
import { Store } from './store/store.ts';
import { Stamps } from './time.ts';
import { controlVerbs } from './verbs.ts';
import type { PoolSpec } from './wire/specs.ts';

export interface BatchEmulatorOptions {
  /** Folder of the durable state and the nodes' directories; without it the state lives in memory and a temporary folder. */
  readonly dataDirectory?: string;
  readonly port?: number;
  readonly controlPort?: number;
  /** A second listener of the service, with TLS, for clients that insist on it. PEM. */
  readonly tls?: TlsFiles & { readonly port?: number };
  /** @throws ConfigError (rejected promise) naming every fault */
  readonly config?: EmulatorConfigInput;
  /** Environment of tasks without a container when the configuration has no `nodeEnvironment`. */
  readonly nodeEnvironment?: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch; for tests. */
  readonly now?: () => number;
  /** In [0, 1), for `rand()` of formulas; for tests. */
  readonly random?: () => number;
  readonly report?: (message: string, error: unknown) => void;
}

export interface BatchEmulator extends StartedEmulator {
  readonly faults: FaultBoard;
  readonly transcript: Transcript;
}

const plainEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };

function poolIdentities(config: EmulatorConfig): (account: string, poolId: string) => ReadonlySet<string> | undefined {
  return (account, poolId) => {
    const pool = config.pools.find(
      (candidate) =>
        candidate.id.toLowerCase() === poolId.toLowerCase() &&
        (candidate.account ?? config.accounts[0]?.name) === account,
    );
    return pool?.identities === undefined ? undefined : new Set(pool.identities.map((id) => id.toLowerCase()));
  };
}

function createConfiguredPools(backend: Backend): void {
  for (const pool of backend.config.pools) {
    const account = pool.account ?? backend.config.accounts[0]?.name ?? '';
    if (backend.store.pools.find(account, pool.id) !== undefined) continue;
    const { nodeFillType } = pool;
    const spec: PoolSpec = {
      id: pool.id,
      vmSize: pool.vmSize,
      targetDedicatedNodes: pool.targetDedicatedNodes,
      targetLowPriorityNodes: pool.targetLowPriorityNodes,
      taskSlotsPerNode: pool.taskSlotsPerNode,
      ...(nodeFillType === undefined ? {} : { taskSchedulingPolicy: { nodeFillType } }),
      ...(pool.metadata.length === 0 ? {} : { metadata: pool.metadata }),
    };
    createPool(backend, account, spec);
    const row = backend.store.pools.find(account, pool.id);
    if (row !== undefined) backend.fleet.allocateNow(row.seq);
  }
}

function quotasOf(config: EmulatorConfig): (account: string) => Quotas {
  const { activeJobsAndSchedules, pools, dedicatedCores, lowPriorityCores } = config.limits;
  const all = { activeJobsAndSchedules, pools, dedicatedCores, lowPriorityCores };
  return (account) => {
    const own = config.accounts.find(({ name }) => name === account)?.quotas ?? {};
    return {
      activeJobsAndSchedules: own.activeJobsAndSchedules ?? all.activeJobsAndSchedules,
      pools: own.pools ?? all.pools,
      dedicatedCores: own.dedicatedCores ?? all.dedicatedCores,
      lowPriorityCores: own.lowPriorityCores ?? all.lowPriorityCores,
    };
  };
}

/**
 * Starts the emulator in this process. Endpoints: `batch` (the service) and `control` (faults, transcript, verbs).
 *
 * @throws ConfigError, DataInUseError, CgroupError
 */
export async function startBatchEmulator(options: BatchEmulatorOptions = {}): Promise<BatchEmulator> {
  const config = parseConfig(options.config ?? {});
  const now = options.now ?? Date.now;
  const temporary = options.dataDirectory === undefined;
  const dataDirectory = temporary
    ? mkdtempSync(join(tmpdir(), 'azure-batch-emulator-'))
    : resolve(options.dataDirectory);
  mkdirSync(dataDirectory, { recursive: true });
  const report =
    options.report ??
    ((message, error): void => {
      process.stderr.write(
        `azure-batch-emulator: ${message}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
      );
    });
  const { cgroup } = config.taskLimits;
  if (cgroup !== undefined) checkCgroup(cgroup);
  const faults = new FaultBoard();
  const transcript = new Transcript();
  const client = new StorageClient();
  const store = new Store(temporary ? ':memory:' : join(dataDirectory, 'batch.sqlite'));
  const stamps = new Stamps(now, store.lastStamp());
  let accountUrl = '';
  let runtime: Promise<ContainerRuntime | undefined> | undefined;
  const nodeEnvironment: Readonly<Record<string, string>> =
    config.nodeEnvironment ?? options.nodeEnvironment ?? plainEnvironment;
  const quotas = quotasOf(config);
  const runtimePath = nodeEnvironment['PATH'] ?? plainEnvironment.PATH;
  const core = new Core({
    store,
    stamps,
    faults,
    dataDirectory,
    nodeBootMs: config.nodeBootMs,
    quotas,
    coresOf: (vmSize) => coresOf(vmSize, config.vmCores),
    accountUrl: () => accountUrl,
    poolIdentities: poolIdentities(config),
    report,
    services: {
      client,
      faults,
      identities: new Map(Object.entries(config.identities).map(([id, { storage }]) => [id.toLowerCase(), storage])),
      images: Object.entries(config.containerImages).map(([pattern, image]) => ({ pattern, ...image })),
      runtime: () => (runtime ??= findRuntime(config.containerRuntime, runtimePath)),
      limits: config.taskLimits,
      watch: new GroupWatch(),
      prlimit: findProgram('prlimit', plainEnvironment.PATH, '/'),
      cgroup,
      nodeEnvironment,
      instance: store.instance,
      killGraceMs: config.killGraceMs,
    },
  });
  const work = new NodeWork(core);
  const jobs = new JobLife(core, work);
  const schedules = new ScheduleLife(core, jobs);
  const nodes = new NodeLife(core, work);
  const fleet = new Fleet(core, nodes);
  const scaler = new Scaler(core, fleet, new Machine(), config.sampleSeconds * 1000, options.random ?? Math.random);
  const clock = new Clock(core, jobs, schedules, scaler, now);
  new Dispatcher(core, jobs, fleet, nodes, work);
  const shortest = {
    scheduleSeconds: config.limits.shortestScheduleSeconds,
    autoscaleSeconds: config.limits.shortestAutoscaleSeconds,
  };
  const backend: Backend = {
    store, core, jobs, schedules, fleet, nodes, scaler, clock, stamps, faults, config, quotas, shortest, dataDirectory,
  }; // prettier-ignore
  schedules.createJob = (schedule) => createScheduledJob(backend, schedule);
  const accounts = new Map(
    config.accounts.map(({ name, keyBase64 }) => [name, { name, key: Buffer.from(keyBase64, 'base64') }]),
  );
  const http = new BatchServer(backend, accounts, transcript, now);
  const server = http.listener();
  const tlsServer = options.tls === undefined ? undefined : http.listener(options.tls);
  const control = createControlServer({
    name: 'azure-batch-emulator',
    faults,
    transcript,
    verbs: controlVerbs(backend),
  });
  const cutBatch = trackSockets(server);
  const cutControl = trackSockets(control);
  const cutTls = tlsServer === undefined ? undefined : trackSockets(tlsServer);
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const tls = tlsServer === undefined || cutTls === undefined ? undefined : closeServer(tlsServer, cutTls);
    await Promise.all([closeServer(server, cutBatch), closeServer(control, cutControl), tls]);
    clock.stop();
    scaler.stop();
    await core.stop();
    const used = await runtime;
    if (used !== undefined) await removeContainers(used, store.instance);
    // Daemons that left their task's group: a stopped emulator leaves nothing behind.
    killLeftovers(store.instance, []);
    client.close();
    store.close();
    if (temporary) rmSync(dataDirectory, { recursive: true, force: true });
  };
  const port = await listen(server, options.port ?? 0);
  accountUrl = `http://127.0.0.1:${port}`;
  const tlsPort = tlsServer === undefined ? undefined : await listen(tlsServer, options.tls?.port ?? 0);
  const controlPort = await listen(control, options.controlPort ?? 0);
  // Containers outlive the process group of a life that was killed.
  if (store.tasks.running().some(({ spec }) => spec.includes('"containerSettings"'))) {
    const left = await core.options.services.runtime();
    if (left !== undefined) await removeContainers(left, store.instance);
  }
  recover(core, jobs, fleet, nodes, schedules);
  createConfiguredPools(backend);
  clock.start();
  scaler.start();
  return {
    endpoints: {
      batch: accountUrl,
      ...(tlsPort === undefined ? {} : { batchTls: `https://127.0.0.1:${tlsPort}` }),
      control: `http://127.0.0.1:${controlPort}`,
    },
    faults,
    transcript,
    stop: () => (stopped ??= stop()),
  };
}
