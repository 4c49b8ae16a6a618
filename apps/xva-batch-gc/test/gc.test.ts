import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BatchAdapter } from '@xva/azure-batch';
import { BlobAccount } from '@xva/azure-storage';
import { RunTable } from '@xva/azure-tables';
import { manifestBytes, packageIdOf, runContainerOf, sha256Hex } from '@xva/contracts';
import {
  batchAccount,
  startAzurite,
  startBatchEmulatorProcess,
  type Azurite,
  type BatchEmulatorProcess,
} from '@xva/testkit';
import { manifestOf, recordOf } from './world.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const live = 'xva-20260930-live-aaaaaaaaaaaaaa';
const expired = 'xva-20200101-old-bbbbbbbbbbbbbb';
const orphan = 'xva-20200101-lost-cccccccccccccc';

describe('xva-batch-gc as a process, on Azurite and the Batch emulator', () => {
  let azurite: Azurite;
  let emulator: BatchEmulatorProcess;
  let env: Record<string, string>;

  beforeAll(async () => {
    azurite = await startAzurite();
    emulator = await startBatchEmulatorProcess({ pools: [] });
    const folder = mkdtempSync(join(tmpdir(), 'xva-gc-'));
    const policyFile = join(folder, 'policy.json');
    const rule = { retainSeconds: 0 };
    const rules = {
      runs: { retainSeconds: 86_400 },
      orphanedRuns: rule,
      leakedJobs: rule,
      objects: rule,
      requests: rule,
      deadLetters: rule,
    };
    writeFileSync(
      policyFile,
      JSON.stringify({ schemaVersion: '1.0', name: 'test', minimumAgeSeconds: 0, ceiling: { percent: 100 }, rules }),
    );
    env = {
      PATH: process.env['PATH'] ?? '',
      XVA_WORK_CONNECTION_STRING: azurite.connectionString,
      XVA_LEDGER_CONNECTION_STRING: azurite.connectionString,
      XVA_BATCH_URL: emulator.url,
      XVA_BATCH_ACCOUNT: batchAccount.name,
      XVA_BATCH_KEY: batchAccount.keyBase64,
      XVA_POLICY_FILE: policyFile,
      XVA_OPS_PORT: '0',
    };
  }, 60_000);
  afterAll(async () => {
    await Promise.all([azurite.stop(), emulator.stop()]);
  });

  const gc = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning', main, '--json'];
      execFile(process.execPath, [...flags, ...args], { env }, (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
      );
    });

  it('checks, marks, refuses to act unasked, sweeps exactly the marked, and keeps the tombstone', async () => {
    const account = new BlobAccount({ connectionString: azurite.connectionString });
    const runs = new RunTable({ connectionString: azurite.connectionString });
    await runs.ensure();
    const batch = new BatchAdapter({
      endpoint: emulator.url,
      accountName: batchAccount.name,
      accountKey: batchAccount.keyBase64,
    });
    const [objects, requests, letters] = ['objects', 'requests', 'deadletters'].map((name) => account.container(name));
    if (objects === undefined || requests === undefined || letters === undefined) throw new Error('containers');
    await Promise.all([objects.ensure(), requests.ensure(), letters.ensure()]);
    const manifest = manifestOf('live part');
    await objects.putIfAbsent(sha256Hex('live part'), 'live part');
    await objects.putIfAbsent(packageIdOf(manifest), manifestBytes(manifest));
    await objects.putIfAbsent(sha256Hex('orphan'), 'orphan');
    await objects.putIfAbsent('somebody-elses.txt', 'x');
    await requests.putIfAbsent(`${sha256Hex(live).slice(0, 32)}.json`, '{}');
    await requests.putIfAbsent(`${'9'.repeat(32)}.json`, '{}');
    await letters.putIfAbsent('letter.json', '{}');
    await runs.insert(recordOf(live, 'running', packageIdOf(manifest), new Date().toISOString()));
    await runs.insert(recordOf(expired, 'failed', packageIdOf(manifest), '2020-01-01T00:00:00.000Z'));
    for (const runId of [live, expired, orphan]) {
      await account.container(runContainerOf(runId)).ensure();
      await batch.addJob({ id: `${runId}-a1`, poolId: 'p', priority: 0, metadata: {} });
    }
    expect((await gc('check')).code).toBe(0);

    const marked = await gc('mark');
    expect([marked.code, marked.stderr.split('\n').filter((line) => line.includes('"level":"error"'))]).toEqual([
      0,
      [],
    ]);
    const report = JSON.parse(marked.stdout) as { items: { kind: string; id: string }[] };
    expect(report.items.map(({ kind, id }) => `${kind} ${id}`).sort()).toEqual(
      [
        `run ${expired}`,
        `run-container ${runContainerOf(orphan)}`,
        `job ${orphan}-a1`,
        `job ${expired}-a1`,
        `object ${sha256Hex('orphan')}`,
        `request ${'9'.repeat(32)}.json`,
        'dead-letter letter.json',
      ].sort(),
    );
    await gc('sweep');
    expect(await objects.head(sha256Hex('orphan'))).toBeDefined();

    const swept = await gc('sweep', '--yes');
    expect(swept.code).toBe(0);
    expect((await runs.get(expired))?.record.state).toBe('swept');
    expect((await runs.get(live))?.record.state).toBe('running');
    const left: string[] = [];
    for await (const blob of objects.list()) left.push(blob.name);
    expect(left.sort()).toEqual([sha256Hex('live part'), packageIdOf(manifest), 'somebody-elses.txt'].sort());
    expect(await account.container(runContainerOf(live)).exists()).toBe(true);
    expect(await account.container(runContainerOf(orphan)).exists()).toBe(false);
    expect(await letters.head('letter.json')).toBeUndefined();
    const jobs: string[] = [];
    for await (const job of batch.listJobs()) if (job.state === 'active') jobs.push(job.id);
    expect(jobs).toEqual([`${live}-a1`]);
    const again = JSON.parse((await gc('mark')).stdout) as { items: unknown[] };
    expect(again.items).toEqual([]);
  }, 60_000);

  it('names every fault of a policy and does nothing', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'xva-gc-')), 'bad.json');
    writeFileSync(file, JSON.stringify({ schemaVersion: '1.0', name: 'Bad Name', rules: { everything: {} } }));
    env = { ...env, XVA_POLICY_FILE: file };
    const refused = await gc('mark');
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(/name: .*rules: /s);
  });
});
