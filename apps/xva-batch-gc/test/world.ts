import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BatchAdapter } from '@xva/azure-batch';
import { BlobAccount } from '@xva/azure-storage';
import { RunTable } from '@xva/azure-tables';
import { manifestBytes, packageIdOf, runContainerOf, sha256Hex, type Manifest, type RunRecord } from '@xva/contracts';
import { silentLogger } from '@xva/runtime';
import {
  batchAccount,
  sampleRecord,
  startAzurite,
  startBatchEmulatorProcess,
  type Azurite,
  type BatchEmulatorProcess,
} from '@xva/testkit';
import { compose, type Composition } from '../src/compose.ts';
import { configSchema } from '../src/config.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const long = '2020-01-01T00:00:00.000Z';

export function manifestOf(part: string): Manifest {
  return {
    schemaVersion: '1.0',
    eventId: '1'.repeat(32),
    requestKey: { book: 'LIVE', asOf: '2026-09-30', cut: 'EOD', scenario: 'BASE', revision: 1 },
    asOf: '2026-09-30',
    baseCurrency: 'EUR',
    samples: 2,
    seed: 1,
    quantile: '0.95',
    gridDates: 1,
    strict: false,
    priority: 0,
    generator: { name: 'test', version: '1' },
    engine: { name: 'test', version: '1' },
    parts: [{ path: 'Input/a.xml', size: part.length, sha256: sha256Hex(part), role: 'simulation' }],
    sharedInputHash: '0'.repeat(64),
    nettingSets: [
      {
        id: 'NS',
        counterparty: 'CP',
        collateralised: false,
        trades: [{ tradeId: 'T', tradeType: 'FxForward', costNanos: 1 }],
        grossNotional: '1',
      },
    ],
    refusedNettingSets: [],
    refusals: [],
    warnings: [],
  };
}

export function recordOf(runId: string, state: RunRecord['state'], packageId: string, at: string): RunRecord {
  return sampleRecord(runId, {
    eventId: sha256Hex(runId).slice(0, 32),
    packageId,
    state,
    outcome: state === 'failed' ? 'failed' : null,
    attempts: [
      { attempt: 1, jobId: `${runId}-a1`, poolId: 'p', tasks: ['shard-0001'], reason: 'first', startedAt: at },
    ],
    createdAt: at,
    updatedAt: at,
    startedAt: at,
    finishedAt: state === 'failed' ? at : null,
  });
}

/** Everything that a sweep should take, and beside it all that it must not; `salt` tells one from another. */
export interface Scene {
  readonly live: string;
  readonly expired: string;
  readonly orphan: string;
  readonly liveObjects: readonly string[];
  readonly orphans: readonly string[];
}

/** The collector on Azurite and the Batch emulator: in this process, and as one of its own. */
export class GcRig {
  readonly account: BlobAccount;
  readonly runs: RunTable;
  readonly batch: BatchAdapter;
  readonly env: Record<string, string>;
  readonly #azurite: Azurite;
  readonly #emulator: BatchEmulatorProcess;

  private constructor(azurite: Azurite, emulator: BatchEmulatorProcess, policy: object) {
    this.#azurite = azurite;
    this.#emulator = emulator;
    const { connectionString } = azurite;
    this.account = new BlobAccount({ connectionString });
    this.runs = new RunTable({ connectionString });
    this.batch = new BatchAdapter({
      endpoint: emulator.url,
      accountName: batchAccount.name,
      accountKey: batchAccount.keyBase64,
    });
    const policyFile = join(mkdtempSync(join(tmpdir(), 'xva-gc-')), 'policy.json');
    writeFileSync(policyFile, JSON.stringify(policy));
    this.env = {
      PATH: process.env['PATH'] ?? '',
      XVA_WORK_CONNECTION_STRING: connectionString,
      XVA_LEDGER_CONNECTION_STRING: connectionString,
      XVA_BATCH_URL: emulator.url,
      XVA_BATCH_ACCOUNT: batchAccount.name,
      XVA_BATCH_KEY: batchAccount.keyBase64,
      XVA_POLICY_FILE: policyFile,
      XVA_OPS_PORT: '0',
    };
  }

  static async start(policy: object): Promise<GcRig> {
    const [azurite, emulator] = await Promise.all([startAzurite(), startBatchEmulatorProcess({ pools: [] })]);
    const rig = new GcRig(azurite, emulator, policy);
    await Promise.all([
      rig.runs.ensure(),
      ...['objects', 'requests', 'deadletters', 'sweeps'].map((name) => rig.account.container(name).ensure()),
    ]);
    return rig;
  }

  async stop(): Promise<void> {
    this.batch.close();
    await Promise.all([this.#azurite.stop(), this.#emulator.stop()]);
  }

  compose(): Promise<Composition> {
    const { connectionString } = this.#azurite;
    const config = configSchema.parse({
      workConnectionString: connectionString,
      ledgerConnectionString: connectionString,
      batchUrl: this.#emulator.url,
      batchAccount: batchAccount.name,
      batchKey: batchAccount.keyBase64,
      policyFile: this.env['XVA_POLICY_FILE'],
    });
    return compose(config, silentLogger);
  }

  /** The command line as a process; `killed` when it ended by a signal. */
  cli(
    args: readonly string[],
    env: Record<string, string> = {},
  ): Promise<{ code: number; killed: boolean; stdout: string; stderr: string }> {
    const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning', main, '--json'];
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [...flags, ...args],
        { env: { ...this.env, ...env }, maxBuffer: 1 << 26 },
        (error, stdout, stderr) =>
          resolve({
            code: typeof error?.code === 'number' ? error.code : 0,
            killed: error?.signal === 'SIGKILL',
            stdout,
            stderr,
          }),
      );
    });
  }

  /** The locks of a collector that was killed run out after 15 s; here they are broken instead. */
  async breakLocks(containers: readonly string[]): Promise<void> {
    const collected = this.account.collector();
    await collected('sweeps').breakLease('lock');
    for (const name of containers) await collected(name).breakLease();
  }

  async seed(salt: string, objects = 3): Promise<Scene> {
    const { account, runs, batch } = this;
    const id = (year: string, what: string): string =>
      `xva-${year}0930-${what}-${sha256Hex(`${what}${salt}`)
        .replaceAll(/[^a-f]/g, '')
        .padEnd(14, 'x')
        .slice(0, 14)}`;
    const scene = { live: id('2026', 'live'), expired: id('2020', 'old'), orphan: id('2020', 'lost') };
    const manifest = manifestOf(`live ${salt}`);
    const store = account.container('objects');
    const liveObjects = [sha256Hex(`live ${salt}`), packageIdOf(manifest)];
    await store.putIfAbsent(sha256Hex(`live ${salt}`), `live ${salt}`);
    await store.putIfAbsent(packageIdOf(manifest), manifestBytes(manifest));
    const orphans = Array.from({ length: objects }, (_unused, index) => sha256Hex(`orphan ${salt} ${index}`));
    for (const name of orphans) await store.putIfAbsent(name, `content of ${name}`, { metadata: { kept: 'yes' } });
    await account.container('deadletters').putIfAbsent(`${salt}.json`, '{}');
    await runs.insert(recordOf(scene.live, 'running', packageIdOf(manifest), new Date().toISOString()));
    await runs.insert(recordOf(scene.expired, 'failed', packageIdOf(manifest), long));
    for (const runId of Object.values(scene)) {
      await account.container(runContainerOf(runId)).ensure();
      await account.container(runContainerOf(runId)).putIfAbsent('a1/shard-0001/task.json', `task of ${runId}`);
      await batch.addJob({ id: `${runId}-a1`, poolId: 'p', priority: 0, metadata: {} });
    }
    return { ...scene, liveObjects, orphans };
  }

  /** What is wrong after everything was swept; empty when the promises hold. */
  async faultsOf(scene: Scene): Promise<readonly string[]> {
    const { account, runs, batch } = this;
    const objects = account.container('objects');
    const faults: string[] = [];
    const say = (holds: boolean, what: string): void => {
      if (!holds) faults.push(what);
    };
    say((await runs.get(scene.live))?.record.state === 'running', 'the live run changed');
    say(
      (await account.container(runContainerOf(scene.live)).head('a1/shard-0001/task.json')) !== undefined,
      'the live run lost its container',
    );
    say((await batch.getJob(`${scene.live}-a1`))?.state === 'active', 'the live run lost its job');
    for (const name of scene.liveObjects)
      say((await objects.head(name)) !== undefined, `the live run lost object ${name}`);
    for (const name of scene.orphans) say((await objects.head(name)) === undefined, `orphan ${name} stayed`);
    say(
      (await runs.get(scene.expired))?.record.state === 'swept',
      `the expired run is ${(await runs.get(scene.expired))?.record.state}`,
    );
    for (const runId of [scene.expired, scene.orphan]) {
      say(!(await account.container(runContainerOf(runId)).exists()), `the container of ${runId} stayed`);
      const job = await batch.getJob(`${runId}-a1`);
      say(job === undefined || job.state === 'deleting', `the job of ${runId} stayed`);
    }
    return faults;
  }

  /** Ids of all that the audit says was begun or done. */
  async audited(): Promise<ReadonlySet<string>> {
    const sweeps = this.account.container('sweeps');
    const ids = new Set<string>();
    for await (const { name } of sweeps.list('audit/')) {
      const text = (await sweeps.get(name))?.bytes.toString('utf8') ?? '';
      for (const line of text.split('\n').filter((one) => one !== '')) ids.add((JSON.parse(line) as { id: string }).id);
    }
    return ids;
  }
}
