import {
  mark,
  pin,
  PinTheRunError,
  restore,
  sweep,
  type Pinned,
  type PinKind,
  type SweepDeps,
  type SweepPolicy,
} from '../src/index.ts';
import { itemsOf, type World } from './fakes.ts';
import { all, cycle, hash, policyOf, runA, seeded } from './seeded.ts';

const objects = policyOf({ objects: { retainSeconds: 600 } });
const runs = policyOf({ runs: { retainSeconds: 3600 } });

async function pinned(world: World, kind: PinKind, id: string, policy: SweepPolicy = all): Promise<Pinned[]> {
  const told: Pinned[] = [];
  for await (const one of pin(world.deps(), policy, { kind, id, by: 'test', reason: '' })) told.push(one);
  return told;
}

/** Run A is swept; its objects are not, and would go. */
async function sweptRun(policy = runs): Promise<World> {
  const world = seeded();
  world.now += 86_400_000;
  await cycle(world, policy);
  expect(world.records.get(runA)?.record.state).toBe('swept');
  return world;
}

/** Sweeps what is marked now; `between` happens when all was decided, before the first delete of this kind. */
async function sweepWith(
  world: World,
  policy: SweepPolicy,
  call: 'delete' | 'copy' | 'deleteJob',
  between: () => Promise<unknown>,
): Promise<void> {
  const report = await mark(world.deps(), policy, `during-${world.reports.size}`);
  const deps = world.deps();
  let done: Promise<unknown> | undefined;
  const first = async (): Promise<void> => {
    await (done ??= between());
  };
  const storage: SweepDeps['storage'] = {
    ...deps.storage,
    delete: async (place, blobs) => {
      if (call === 'delete') await first();
      return deps.storage.delete(place, blobs);
    },
    copy: async (...args) => {
      if (call === 'copy') await first();
      return deps.storage.copy(...args);
    },
  };
  const batch: SweepDeps['batch'] = {
    ...deps.batch,
    getJob: async (id) => {
      const job = await deps.batch.getJob(id);
      if (call === 'deleteJob') await first();
      return job;
    },
  };
  const options = { signal: new AbortController().signal };
  expect((await sweep({ ...deps, storage, batch }, policy, report, options)).outcome).toBe('done');
  expect(done).toBeDefined();
}

const own = [hash('1'), hash('3')];
const left = (world: World): string[] => own.filter((name) => world.blobs.has(`objects/${name}`));

describe('a pin of a run that was swept', () => {
  it('keeps the objects that are left of it, from the next mark on and from a mark before', async () => {
    const world = await sweptRun();
    const before = await mark(world.deps(), objects, 'before');
    expect(itemsOf(world, before).map(({ id }) => id)).toEqual(expect.arrayContaining(own));
    const told = await pinned(world, 'run', runA);
    expect(told.at(-1)).toMatchObject({ outcome: 'kept', detail: expect.stringContaining('restore') });
    await sweep(world.deps(), objects, before, { signal: new AbortController().signal });
    expect(left(world)).toEqual(own);
    world.now += 86_400_000;
    await cycle(world, objects);
    expect(left(world)).toEqual(own);
    world.pinned.delete(`run ${runA}`);
    world.now += 86_400_000;
    await cycle(world, objects);
    expect(left(world)).toEqual([]);
  });

  it('keeps them though the sweep has decided and is about to delete', async () => {
    const world = await sweptRun();
    await sweepWith(world, objects, 'delete', () => pinned(world, 'run', runA));
    expect(left(world)).toEqual(own);
  });

  it('says which blob it could not be sure of', async () => {
    const world = await sweptRun();
    const path = `objects/${hash('3')}`;
    world.blobs.set(path, { ...world.blobs.get(path)!, hold: 'leased' });
    const told = await pinned(world, 'run', runA);
    expect(told).toEqual([
      expect.objectContaining({ kind: 'blob', id: path, outcome: 'failed' }),
      expect.objectContaining({ kind: 'run', outcome: 'failed', detail: expect.stringContaining('1 of its blobs') }),
    ]);
  });

  it('keeps its copies in quarantine, until it is unpinned or restored', async () => {
    const copying = policyOf({ runs: { retainSeconds: 3600 } }, { quarantine: { mode: 'copy', keepSeconds: 86_400 } });
    const world = await sweptRun(copying);
    const copies = world.names('quarantine');
    expect(copies).toHaveLength(1);
    await pinned(world, 'run', runA);
    world.now += 10 * 86_400_000;
    await cycle(world, copying);
    expect(world.names('quarantine')).toEqual(copies);
    // Restored, the copies are of no use any more.
    for await (const one of restore(world.deps(), { runId: runA }, 'test')) expect(one.outcome).not.toBe('failed');
    await cycle(world, copying);
    expect(world.names('quarantine')).toEqual([]);
    expect(world.pinned.has(`run ${runA}`)).toBe(true);
  });

  it('keeps a copy in quarantine though the sweep has decided and is about to delete it', async () => {
    const copying = policyOf({ runs: { retainSeconds: 3600 } }, { quarantine: { mode: 'copy', keepSeconds: 86_400 } });
    const world = await sweptRun(copying);
    const copies = world.names('quarantine');
    world.now += 10 * 86_400_000;
    await sweepWith(world, copying, 'delete', () => pinned(world, 'run', runA));
    expect(world.names('quarantine')).toEqual(copies);
  });
});

describe('a pin while a sweep is under way', () => {
  it('keeps a run whose container is being copied to quarantine', async () => {
    const world = seeded();
    world.now += 86_400_000;
    await sweepWith(world, runs, 'copy', () => pinned(world, 'run', runA));
    expect(world.records.get(runA)?.record.state).toBe('done');
    expect(world.blobs.has(`run-${runA}/a1/shard-0001/task.json`)).toBe(true);
  });

  it('keeps a job that is about to be deleted, and one whose run goes', async () => {
    const leaked = 'xva-20260930-rates-cccccccccccccc-a1';
    const world = seeded();
    world.now += 86_400_000;
    await sweepWith(world, policyOf({ orphanedRuns: { retainSeconds: 600 } }), 'deleteJob', () =>
      pinned(world, 'job', leaked),
    );
    expect(world.jobs.has(leaked)).toBe(true);
    await pinned(world, 'job', `${runA}-a1`);
    await cycle(world, runs);
    expect(world.records.get(runA)?.record.state).toBe('swept');
    expect(world.jobs.has(`${runA}-a1`)).toBe(true);
  });

  it('keeps a blob that is about to be deleted', async () => {
    const world = seeded();
    const letter = 'deadletters/dl.json';
    world.now += 86_400_000;
    await sweepWith(world, policyOf({ deadLetters: { retainSeconds: 600 } }), 'delete', async () => {
      expect(await pinned(world, 'blob', letter)).toEqual([
        { kind: 'blob', id: letter, outcome: 'kept', detail: 'pinned' },
      ]);
    });
    expect(world.blobs.has(letter)).toBe(true);
  });
});

describe('a pin of a blob', () => {
  it('in the container of a run is refused with what to pin instead', async () => {
    const world = seeded();
    const blob = `run-${runA}/a1/shard-0001/task.json`;
    await expect(pinned(world, 'blob', blob)).rejects.toThrow(PinTheRunError);
    await expect(pinned(world, 'blob', blob)).rejects.toThrow(`pin ${runA}`);
    expect([...world.pinned]).toEqual([]);
  });

  it('says when there is none, and leaves alone what no sweep takes', async () => {
    const world = seeded();
    expect(await pinned(world, 'blob', 'deadletters/none.json')).toEqual([
      expect.objectContaining({ outcome: 'gone' }),
    ]);
    world.put('checkpoints/0');
    const { etag } = world.blobs.get('checkpoints/0')!;
    expect(await pinned(world, 'blob', 'checkpoints/0')).toEqual([expect.objectContaining({ outcome: 'kept' })]);
    expect(world.blobs.get('checkpoints/0')?.etag).toBe(etag);
  });
});
