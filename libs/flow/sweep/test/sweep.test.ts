import {
  mark,
  restore,
  sweep,
  sweepPolicySchema,
  type Restored,
  type RestoreTarget,
  type SweepDeps,
} from '../src/index.ts';
import { itemsOf, type World } from './fakes.ts';
import { all, cycle, hash, policyOf, runA, runB, seeded } from './seeded.ts';

describe('mark', () => {
  it('takes nothing and keeps all that is young, live or without a rule', async () => {
    const world = seeded();
    const young = await mark(world.deps(), all, 'r');
    expect(itemsOf(world, young)).toEqual([]);
    world.now += 86_400_000;
    const nothing = await mark(world.deps(), policyOf({}), 'r2');
    expect(itemsOf(world, nothing)).toEqual([]);
    expect(world.names('objects')).toHaveLength(6);
    expect(nothing.kept['object:no-rule-objects']).toBe(1);
    expect(nothing.kept['object:referenced']).toBe(4);
  });

  it('judges no object when a kept run has lost its manifest', async () => {
    const world = seeded();
    world.packages.delete(hash('4'));
    world.now += 86_400_000;
    const report = await mark(world.deps(), all, 'r');
    expect(itemsOf(world, report).filter((item) => item.kind === 'object')).toEqual([]);
  });
});

describe('sweep', () => {
  it('takes exactly the expired and the orphaned; the live run, shared parts and foreign things stay', async () => {
    const world = seeded();
    world.now += 86_400_000;
    expect((await cycle(world, all)).outcome).toBe('done');
    expect(world.records.get(runA)?.record.state).toBe('swept');
    expect(world.records.get(runB)?.record.state).toBe('running');
    expect([...world.containers.keys()]).toEqual([`run-${runB}`, 'run-notes']);
    expect([...world.jobs.keys()]).toEqual([`${runB}-a1`, 'someone-elses-job']);
    expect(world.names('objects')).toEqual([hash('1'), hash('2'), hash('3'), hash('4'), 'readme.txt']);
    expect([world.names('requests'), world.names('deadletters')]).toEqual([[], []]);
    world.now += 1000;
    await cycle(world, all);
    expect(world.names('objects')).toEqual([hash('2'), hash('4'), 'readme.txt']);
    expect(world.audit.filter((entry) => entry['outcome'] === 'swept').length).toBe(8);
  });

  it.each([
    ['pinned', (world: World) => world.pinned.add(`run ${runA}`)],
    ['unpublished-result', (world: World) => world.published.delete(runA)],
    ['live-running', (world: World) => world.setState(runA, 'running')],
  ])('re-checks right before: %s after the mark stays', async (reason, change) => {
    const world = seeded();
    world.now += 86_400_000;
    const report = await mark(world.deps(), all, 'r');
    change(world);
    const outcome = await sweep(world.deps(), all, report, { signal: new AbortController().signal });
    expect(outcome.outcome === 'done' && outcome.acts.find((act) => act.id === runA)).toMatchObject({
      outcome: 'skipped',
      reason,
    });
    expect(world.containers.has(`run-${runA}`)).toBe(true);
  });

  it('leaves the objects of a run that is restored while it is under way', async () => {
    const world = seeded();
    world.now += 86_400_000;
    await cycle(world, policyOf({ runs: { retainSeconds: 3600 } }));
    expect(world.records.get(runA)?.record.state).toBe('swept');
    // Marked while nobody needed them; right before each goes the knowledge of the records may be half a minute old.
    const report = await mark(world.deps(), policyOf({ objects: { retainSeconds: 600 } }), 'r');
    expect(itemsOf(world, report).map((item) => item.id)).toContain(hash('3'));
    const before = world.blobs.get(`objects/${hash('3')}`)?.etag;
    const outcomes = [];
    for await (const one of restore(world.deps(), { runId: runA }, 'test')) outcomes.push(one);
    expect(outcomes.at(-1)).toMatchObject({ kind: 'run', outcome: 'restored' });
    expect(world.blobs.get(`objects/${hash('3')}`)?.etag).not.toBe(before);
    const old = [{ name: hash('3'), etag: before ?? '' }];
    const place = { account: 'work', container: 'objects' } as const;
    expect(await world.deps().storage.delete(place, old)).toEqual([{ outcome: 'changed', detail: '' }]);
  });

  describe('a restore and a sweep that began before it', () => {
    const objects = policyOf({ objects: { retainSeconds: 600 } });
    const runs = policyOf({ runs: { retainSeconds: 3600 } });
    const own = [hash('1'), hash('3')];
    const left = (world: World): string[] => own.filter((name) => world.blobs.has(`objects/${name}`));
    const restored = async (deps: SweepDeps, target: RestoreTarget): Promise<Restored[]> => {
      const all: Restored[] = [];
      for await (const one of restore(deps, target, 'test')) all.push(one);
      return all;
    };
    /** Run A is swept, its objects are not yet. */
    const sweptRun = async (state: 'done' | 'failed' = 'done'): Promise<World> => {
      const world = seeded();
      world.setState(runA, state);
      world.now += 86_400_000;
      await cycle(world, runs);
      expect(world.records.get(runA)?.record.state).toBe('swept');
      return world;
    };
    /** Marks the objects and sweeps; `between` happens when all was decided, before the first delete. */
    const sweepWith = async (world: World, between: () => Promise<void>): Promise<void> => {
      const report = await mark(world.deps(), objects, `during-${world.reports.size}`);
      const deps = world.deps();
      let begun = false;
      const storage: SweepDeps['storage'] = {
        ...deps.storage,
        delete: async (place, blobs) => {
          if (!begun) await between();
          begun = true;
          return deps.storage.delete(place, blobs);
        },
      };
      const outcome = await sweep({ ...deps, storage }, objects, report, { signal: new AbortController().signal });
      expect(outcome.outcome).toBe('done');
      expect(begun).toBe(true);
    };

    it('keeps the objects of the restored run', async () => {
      const world = await sweptRun();
      await sweepWith(world, async () => {
        expect((await restored(world.deps(), { runId: runA })).at(-1)).toMatchObject({ outcome: 'restored' });
      });
      expect(left(world)).toEqual(own);
    });

    it('does not call a run restored while a lease keeps an object from being touched', async () => {
      const world = await sweptRun();
      const path = `objects/${hash('3')}`;
      const lease = (hold: string | undefined): void => {
        const found = world.blobs.get(path);
        if (found !== undefined) world.blobs.set(path, { ...found, hold });
      };
      await sweepWith(world, async () => {
        lease('leased');
        const told = (await restored(world.deps(), { runId: runA })).at(-1);
        expect(told).toMatchObject({ kind: 'run', outcome: 'failed', detail: expect.stringContaining('lease') });
        lease(undefined);
      });
      expect(world.records.get(runA)?.record.state).toBe('swept');
      // Asked again it brings back what the sweep took.
      expect((await restored(world.deps(), { runId: runA })).at(-1)).toMatchObject({ outcome: 'restored' });
      expect(left(world)).toEqual(own);
    });

    it('keeps a single blob that is asked back while it is there', async () => {
      const world = await sweptRun();
      await sweepWith(world, async () => undefined);
      const blob = `objects/${hash('3')}`;
      await restored(world.deps(), { blob });
      world.now += 86_400_000;
      await sweepWith(world, async () => {
        expect((await restored(world.deps(), { blob }))[0]).toMatchObject({ outcome: 'there' });
      });
      expect(world.blobs.has(blob)).toBe(true);
    });

    it.each([
      ['its pin keeps what a later mark would take between the touch and the record', true],
      ['unpinned meanwhile, it brings back what a later mark took between the touch and the record', false],
    ])('%s', async (_what, stays) => {
      const world = await sweptRun();
      const deps = world.deps();
      const slow: SweepDeps['runs'] = {
        ...deps.runs,
        replace: async (record, etag) => {
          world.now += 700_000;
          if (!stays) world.pinned.delete(`run ${runA}`);
          await cycle(world, objects);
          expect(left(world)).toEqual(stays ? own : []);
          return deps.runs.replace(record, etag);
        },
      };
      expect((await restored({ ...deps, runs: slow }, { runId: runA })).at(-1)).toMatchObject({ outcome: 'restored' });
      expect(left(world)).toEqual(own);
    });

    it('leaves a run alone that another restore was quicker with and that runs again', async () => {
      const world = await sweptRun('failed');
      const deps = world.deps();
      let first = true;
      const storage: SweepDeps['storage'] = {
        ...deps.storage,
        touch: async (place, name) => {
          if (first) {
            first = false;
            await restored(world.deps(), { runId: runA });
            world.setState(runA, 'running');
          }
          return deps.storage.touch(place, name);
        },
      };
      expect((await restored({ ...deps, storage }, { runId: runA })).at(-1)).toMatchObject({ outcome: 'there' });
      expect(world.records.get(runA)?.record.state).toBe('running');
    });

    it('does not call a run restored whose copies left quarantine meanwhile', async () => {
      const world = await sweptRun();
      const deps = world.deps();
      const storage: SweepDeps['storage'] = {
        ...deps.storage,
        makeRunContainer: async (name, metadata) => {
          for (const copy of world.names('quarantine')) world.blobs.delete(`quarantine/${copy}`);
          return deps.storage.makeRunContainer(name, metadata);
        },
      };
      const told = (await restored({ ...deps, storage }, { runId: runA })).at(-1);
      expect(told).toMatchObject({ kind: 'run', outcome: 'failed' });
      expect(world.records.get(runA)?.record.state).toBe('swept');
    });
  });

  it.each([
    ['its container is still there: it is let go', false, 'done'],
    ['its container is gone: a tombstone, which restore brings back', true, 'swept'],
  ])('ends what was interrupted and pinned since; %s', async (_, gone, state) => {
    const world = seeded();
    world.now += 86_400_000;
    world.setState(runA, 'sweeping', false);
    const reason = { at: world.date.toISOString(), code: 'sweeping', subject: 'r', message: 'done' };
    const found = world.records.get(runA)!;
    world.records.set(runA, { ...found, record: { ...found.record, reasons: [reason] } });
    if (gone) world.containers.delete(`run-${runA}`);
    world.pinned.add(`run ${runA}`);
    await cycle(world, policyOf({ runs: { retainSeconds: 3600 } }));
    expect(world.records.get(runA)?.record.state).toBe(state);
  });

  it('leaves a blob that was written again after the mark', async () => {
    const world = seeded();
    world.now += 86_400_000;
    const report = await mark(world.deps(), all, 'r');
    world.put(`objects/${hash('5')}`);
    const outcome = await sweep(world.deps(), all, report, { signal: new AbortController().signal });
    expect(outcome).toMatchObject({ outcome: 'done' });
    expect(world.blobs.has(`objects/${hash('5')}`)).toBe(true);
  });

  it.each([
    [{ ceiling: { items: 1, percent: 100 } }, /items are more than the ceiling/],
    [{ ceiling: { bytes: 1, percent: 100 } }, /bytes are more than the ceiling/],
    [{ ceiling: { percent: 1 } }, /% of all items/],
    [{ reportMaxAgeSeconds: 0 }, /mark again/],
  ])('refuses above %p unless approved', async (more, message) => {
    const world = seeded();
    world.now += 86_400_000;
    const policy = { ...all, ...sweepPolicySchema.parse({ ...all, ...more }) };
    const report = await mark(world.deps(), policy, 'r');
    world.now += 1000;
    const signal = new AbortController().signal;
    const refused = await sweep(world.deps(), policy, report, { signal });
    expect(refused.outcome === 'refused' && refused.reason).toMatch(message);
    expect(world.audit).toEqual([]);
    const approved = await sweep(world.deps(), policy, report, { approved: 'r', signal });
    expect(approved.outcome).toBe('reportMaxAgeSeconds' in more ? 'refused' : 'done');
  });

  it('goes on after a thing that cannot be taken, and says why', async () => {
    const world = seeded();
    world.now += 86_400_000;
    const report = await mark(world.deps(), all, 'r');
    world.interrupt = (call) => {
      if (call === 'delete-container') throw new Error('LeaseIdMissing');
    };
    const outcome = await sweep(world.deps(), all, report, { signal: new AbortController().signal });
    if (outcome.outcome !== 'done') throw new Error(outcome.outcome);
    expect(outcome.acts.filter((act) => act.outcome === 'failed').map((act) => act.reason)).toEqual([
      'LeaseIdMissing',
      'LeaseIdMissing',
    ]);
    expect(world.names('deadletters')).toEqual([]);
    expect(world.records.get(runA)?.record.state).toBe('sweeping');
  });

  it('keeps a run whose jobs have not all been seen to end', async () => {
    const world = seeded();
    world.setState(runA, 'cancelled');
    const found = world.records.get(runA);
    if (found !== undefined) world.records.set(runA, { ...found, record: { ...found.record, finishedAt: null } });
    world.now += 86_400_000;
    const report = await mark(world.deps(), all, 'r');
    expect(report.kept['run:still-ending']).toBe(1);
  });

  it('refuses a policy under which a dead letter would outlive its request', () => {
    const rules = { requests: { retainSeconds: 1 }, deadLetters: { retainSeconds: 2 } };
    expect(sweepPolicySchema.safeParse({ ...all, rules }).success).toBe(false);
  });

  it('refuses a report that another policy made', async () => {
    const world = seeded();
    world.now += 86_400_000;
    const report = await mark(world.deps(), all, 'r');
    const other = { ...all, minimumAgeSeconds: 61 };
    const outcome = await sweep(world.deps(), other, report, { approved: 'r', signal: new AbortController().signal });
    expect(outcome).toMatchObject({ outcome: 'refused' });
  });

  it('says that the clock is behind rather than guessing an age', async () => {
    const world = seeded();
    world.now -= 3_600_000;
    const report = await mark(world.deps(), all, 'r');
    expect(itemsOf(world, report)).toEqual([]);
    expect(report.kept['dead-letter:clock-behind-storage']).toBe(1);
  });
});
