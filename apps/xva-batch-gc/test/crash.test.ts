import { mark, sweep, type SweepOutcome } from '@xva/flow-sweep';
import { runContainerOf } from '@xva/contracts';
import { trialBook } from '@xva/testkit';
import type { Composition } from '../src/compose.ts';
import { loadPolicy } from '../src/policy-file.ts';
import { GcRig, recordOf, type Scene } from './world.ts';

const rule = { retainSeconds: 0 };
const crashPolicy = {
  schemaVersion: '1.0',
  name: 'crash',
  minimumAgeSeconds: 0,
  settleSeconds: 0,
  ceiling: { percent: 100 },
  quarantine: { mode: 'copy' },
  rules: {
    runs: { retainSeconds: 86_400 },
    orphanedRuns: rule,
    leakedJobs: rule,
    objects: rule,
    requests: rule,
    deadLetters: rule,
  },
};
const signal = new AbortController().signal;
const book = trialBook(
  'The collector: crash points',
  'docs/trials/gc-crash-points.md',
  'apps/xva-batch-gc/test/crash.test.ts',
);

describe('the collector killed with -9, on Azurite and the Batch emulator', () => {
  let rig: GcRig;
  let gc: Composition;

  beforeAll(async () => {
    rig = await GcRig.start(crashPolicy);
    gc = await rig.compose();
  }, 60_000);
  afterAll(async () => {
    gc.close();
    await rig.stop();
  });

  const policy = () => loadPolicy(rig.env['XVA_POLICY_FILE'] ?? '');
  const id = (name: string): string => `sweep-${name}-${Date.now()}`;
  const cycle = async (name: string): Promise<SweepOutcome> => {
    const report = await mark(gc.deps, policy(), id(name));
    return sweep(gc.deps, policy(), report, { signal });
  };
  const locksOf = (scene: Scene): string[] => [scene.expired, scene.orphan].map(runContainerOf);

  it.each(['page-listed', 'decision-made', 'mark-written'])(
    'in a mark at %s: no report counts, nothing is taken, the next one is whole',
    async (point) => {
      const scene = await rig.seed(point);
      const before = await gc.deps.ledger.latestReportId();
      const killed = await rig.cli(['mark'], { XVA_CRASH_AT: point });
      expect(killed.killed).toBe(true);
      expect(await gc.deps.ledger.latestReportId()).toBe(before);
      expect((await rig.runs.get(scene.expired))?.record.state).toBe('failed');
      expect((await cycle(point)).outcome).toBe('done');
      expect(await rig.faultsOf(scene)).toEqual([]);
      book.record({
        section: 'killed in a mark',
        name: point,
        observed:
          'no report was left, nothing was taken; the next mark and sweep took all that was due and nothing else',
      });
    },
  );

  it.each([
    'intent-written',
    'records-sweeping',
    'container-deleting',
    'job-deleting',
    'quarantined',
    'batch-half-deleted',
    'audit-line',
  ])(
    'in a sweep at %s: the same report goes on, nothing needed is gone, every deletion is in the audit',
    async (point) => {
      const scene = await rig.seed(point);
      const report = await mark(gc.deps, policy(), id(point));
      const killed = await rig.cli(['sweep', report.reportId, '--yes'], { XVA_CRASH_AT: point });
      expect(killed.killed).toBe(true);
      await rig.breakLocks(locksOf(scene));
      const started = Date.now();
      const again = await sweep(gc.deps, policy(), report, { signal });
      expect(again.outcome).toBe('done');
      // What the killed one left half done is found by the next mark.
      await cycle(`${point}-next`);
      expect(Date.now() - started).toBeLessThan(10_000);
      expect(await rig.faultsOf(scene)).toEqual([]);
      const audited = await rig.audited();
      expect(
        [scene.expired, runContainerOf(scene.orphan), ...scene.orphans].filter((one) => !audited.has(one)),
      ).toEqual([]);
      book.record({
        section: 'killed in a sweep',
        name: point,
        observed:
          'the next sweep finished within 10 s of the lease; live run, its package and job whole; all that was due is gone and in the audit',
      });
    },
    30_000,
  );

  it('a live run appears after the mark: its container, job and objects stay', async () => {
    const scene = await rig.seed('appears');
    const report = await mark(gc.deps, policy(), id('appears'));
    const manifest = scene.liveObjects[1] ?? '';
    await rig.runs.insert(recordOf(scene.orphan, 'running', manifest, new Date().toISOString()));
    const outcome = await sweep(gc.deps, policy(), report, { signal });
    const acts = outcome.outcome === 'refused' ? [] : outcome.acts.filter((act) => act.id.includes(scene.orphan));
    expect(acts.map((act) => `${act.kind} ${act.outcome} ${act.reason}`)).toEqual([
      'job skipped live-running',
      'run-container skipped owned-by-run-record',
    ]);
    expect(await rig.account.container(runContainerOf(scene.orphan)).exists()).toBe(true);
    book.record({
      section: 'meanwhile',
      name: 'a live run appears after the mark',
      observed: 'its job and container were skipped by name',
    });
  });

  it('the clock jumps back behind the report, or forward beyond its age: refused', async () => {
    const report = await mark(gc.deps, policy(), id('clock'));
    const at = (shiftMs: number) => ({
      ...gc.deps,
      clock: { ...gc.deps.clock, now: () => new Date(Date.now() + shiftMs) },
    });
    const back = await sweep(at(-3_600_000), policy(), report, { signal });
    const forward = await sweep(at(7_200_000), policy(), report, { signal });
    expect([back, forward]).toMatchObject([{ outcome: 'refused' }, { outcome: 'refused' }]);
    book.record({
      section: 'meanwhile',
      name: 'the clock jumps back or forward',
      observed: 'the sweep is refused: mark again',
    });
  });

  it('two collectors at once: one sweeps, the other is refused by the lease', async () => {
    const scene = await rig.seed('two', 40);
    const report = await mark(gc.deps, policy(), id('two'));
    const other = await rig.compose();
    const outcomes = await Promise.all([
      sweep(gc.deps, policy(), report, { signal }),
      sweep(other.deps, policy(), report, { signal }),
    ]);
    other.close();
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['done', 'refused']);
    expect(await rig.faultsOf(scene)).toEqual([]);
    book.record({
      section: 'meanwhile',
      name: 'two collectors at once',
      observed: 'one had the lease and swept, the other was refused',
    });
  });

  it('a swept run and blob come back from quarantine with the same bytes', async () => {
    const scene = await rig.seed('back');
    await cycle('back');
    const [orphan = ''] = scene.orphans;
    const restored = await rig.cli(['restore', scene.expired]);
    expect([restored.code, restored.stderr.split('\n').filter((line) => line.includes('"error"'))]).toEqual([0, []]);
    const blob = await rig.cli(['restore', `objects/${orphan}`]);
    expect(blob.code).toBe(0);
    expect((await rig.runs.get(scene.expired))?.record.state).toBe('failed');
    const task = await rig.account.container(runContainerOf(scene.expired)).get('a1/shard-0001/task.json');
    expect(task?.bytes.toString()).toBe(`task of ${scene.expired}`);
    const object = await rig.account.container('objects').get(orphan);
    expect([object?.bytes.toString(), object?.metadata]).toEqual([`content of ${orphan}`, { kept: 'yes' }]);
    const explained = await rig.cli(['explain', scene.expired]);
    expect(explained.stdout).toMatch(/"reason":"pinned"/);
    expect((await rig.cli(['unpin', scene.expired])).code).toBe(0);
    book.record({
      section: 'meanwhile',
      name: 'restore of a run and of a blob',
      observed: 'the same bytes and metadata; the run has its former state and is pinned',
    });
  });

  it('a pin set between the mark and the sweep keeps a run, a swept run, a blob, and says what it cannot keep', async () => {
    const gone = await rig.seed('pin-gone');
    await cycle('pin-gone');
    const scene = await rig.seed('pinned');
    const [orphan = '', other = ''] = scene.orphans;
    const report = await mark(gc.deps, policy(), id('pinned'));
    const told: string[] = [];
    for (const thing of [scene.expired, gone.expired, `objects/${orphan}`, 'objects/none']) {
      const { code, stdout } = await rig.cli(['pin', thing, '--reason', 'asked for']);
      told.push(`${code} ${/"detail":"([^"(]*)/.exec(stdout)?.[1]?.trim() ?? ''}`);
    }
    expect(told).toEqual([
      '0 pinned',
      '0 pinned; it was swept, and what is left of it stays',
      '0 pinned',
      '0 pinned, but nothing of that name is there: a sweep may have taken it before',
    ]);
    const inside = await rig.cli(['pin', `${runContainerOf(scene.expired)}/a1/shard-0001/task.json`]);
    expect([inside.code, inside.stderr.includes(`pin ${scene.expired}`)]).toEqual([5, true]);
    expect((await sweep(gc.deps, policy(), report, { signal })).outcome).toBe('done');
    expect((await rig.runs.get(scene.expired))?.record.state).toBe('failed');
    expect(await rig.account.container(runContainerOf(scene.expired)).exists()).toBe(true);
    const objects = rig.account.container('objects');
    expect([(await objects.head(orphan)) !== undefined, await objects.head(other)]).toEqual([true, undefined]);
    for (const runId of [scene.expired, gone.expired]) await gc.deps.pins.remove('run', runId);
    book.record({
      section: 'meanwhile',
      name: 'a pin between the mark and the sweep',
      observed: 'run, swept run and blob stay; a blob in the container of a run is refused: pin the run',
    });
  });

  it('its page says what was tried', () => book.close());
});
