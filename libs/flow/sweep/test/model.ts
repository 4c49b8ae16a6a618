import fc from 'fast-check';
import { isLive, runContainerOf, type RunRecord } from '@xva/contracts';
import {
  mark,
  pin,
  restore,
  sweep,
  sweepPolicySchema,
  type Restored,
  type SweepDeps,
  type SweepReport,
} from '../src/index.ts';
import { CrashedError, World } from './fakes.ts';

const minimumAgeSeconds = 100;
/** Among the actors. */
const restorer = 2;
const pinner = 3;
export const modelPolicy = sweepPolicySchema.parse({
  schemaVersion: '1.0',
  name: 'model',
  minimumAgeSeconds,
  reportMaxAgeSeconds: 500,
  settleSeconds: 0,
  ceiling: { percent: 100 },
  quarantine: { mode: 'copy', keepSeconds: 100_000 },
  rules: {
    runs: { retainSeconds: 300 },
    orphanedRuns: { retainSeconds: 200 },
    leakedJobs: { retainSeconds: 200 },
    objects: { retainSeconds: 200 },
    requests: { retainSeconds: 200 },
    deadLetters: { retainSeconds: 200 },
  },
});

const runs = 6;
const object = (digit: number): string => digit.toString(16).repeat(64).slice(0, 64);
const runOf = (index: number): string => `xva-20260930-rates-${String.fromCharCode(97 + index).repeat(14)}`;
const packageOf = (index: number): { id: string; objects: readonly string[] } => {
  const id = object(8 + (index % 6));
  return { id, objects: [id, object(index % 4), object((index + 1) % 4)] };
};

const runStep = fc.nat(runs - 1);
export const stepArbitrary = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('upload' as const), run: runStep }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('post' as const), run: runStep }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('finish' as const),
      run: runStep,
      state: fc.constantFrom<RunRecord['state']>('done', 'failed', 'cancelled', 'publishing'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('publish' as const), run: runStep }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retry' as const), run: runStep }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pin' as const), run: runStep }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pinTaken' as const), run: runStep }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unpin' as const), run: runStep }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restore' as const), run: runStep }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stray' as const), run: runStep }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.nat(400) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('mark' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('sweep' as const), who: fc.nat(1) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      turns: fc.integer({ min: 1, max: 6 }),
      pick: fc.nat(7),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), who: fc.nat(pinner) }) },
);
export type Step = typeof stepArbitrary extends fc.Arbitrary<infer T> ? T : never;

interface Parked {
  readonly resume: () => void;
  readonly kill: (error: Error) => void;
}

/** One sweeper, or a restore, under way: it stops before each of its acts until it is given a turn. */
interface Actor {
  readonly world: World;
  parked: Parked[];
  over: boolean;
  promise: Promise<void>;
}

export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise';
}

function demand(holds: boolean, what: string): void {
  if (!holds) throw new BrokenPromise(what);
}

/** A world, what the model knows of it, and up to two sweepers that run while all else goes on. */
export class Model {
  readonly world = new World();
  readonly #needed = new Map<string, readonly string[]>();
  readonly #uploaded = new Map<string, number>();
  /** Pinned while nobody had begun with it: such a pin always holds. */
  readonly #pinHolds = new Set<string>();
  /** What was there of a run that was swept already when its pin was told to hold. */
  readonly #left = new Map<string, readonly string[]>();
  /** Two sweepers, a restore and somebody who pins. */
  readonly #actors: (Actor | undefined)[] = [undefined, undefined, undefined, undefined];
  #report: SweepReport | undefined;
  /** What an actor met that was no kill. */
  #broken: Error | undefined;
  steps = 0;
  acts: Record<string, number> = {};

  async run(step: Step): Promise<void> {
    this.steps += 1;
    this.acts[step.do] = (this.acts[step.do] ?? 0) + 1;
    const { world } = this;
    const runId = 'run' in step ? runOf(step.run) : '';
    const state = world.records.get(runId)?.record.state;
    switch (step.do) {
      case 'wait':
        world.now += step.seconds * 1000;
        break;
      case 'upload':
        this.#upload(step.run);
        break;
      case 'post':
        this.#post(step.run);
        break;
      case 'finish':
        if (state !== undefined && isLive(state)) world.setState(runId, step.state);
        break;
      case 'publish':
        if (state === 'done') world.published.add(runId);
        break;
      case 'retry':
        if (state === 'failed' || state === 'cancelled') world.setState(runId, 'running');
        break;
      case 'pin':
        if (state !== undefined) this.#pinOne(runId);
        break;
      case 'pinTaken':
        this.#pinOne(this.#takenOr(step.run));
        break;
      case 'unpin':
        world.pinned.delete(`run ${runId}`);
        this.#pinHolds.delete(runId);
        this.#left.delete(runId);
        break;
      case 'restore':
        this.#restoreOneOf(step.run);
        break;
      case 'stray':
        world.put(`objects/${object(4 + (step.run % 4))}`, 'nobody needs it');
        break;
      case 'mark':
        this.#report = await mark(world.deps(), modelPolicy, `sweep-${String(world.reports.size).padStart(6, '0')}`);
        break;
      case 'sweep':
        if (this.#report !== undefined && this.#actors[step.who] === undefined) this.#sweep(step.who, this.#report);
        break;
      case 'advance':
        for (let turn = 0; turn < step.turns; turn += 1) await this.#turn(step.pick + turn);
        break;
      case 'kill':
        await this.#kill(step.who);
        break;
    }
    this.#check(step);
  }

  /** The uploader touches what is there already, so its age starts anew and its version changes. */
  #upload(index: number): void {
    const { id, objects } = packageOf(index);
    for (const name of objects) this.world.put(`objects/${name}`, `content of ${name}`);
    this.world.packages.set(id, objects);
    this.#uploaded.set(runOf(index), this.world.now);
  }

  /** The record follows the upload within the minimum age, or the upload is done again. */
  #post(index: number): void {
    const runId = runOf(index);
    if (this.world.records.has(runId)) return;
    const at = this.#uploaded.get(runId);
    if (at === undefined || this.world.now - at >= minimumAgeSeconds * 1000) this.#upload(index);
    const { id, objects } = packageOf(index);
    this.world.addRun(runId, 'running', id);
    this.#needed.set(runId, objects);
  }

  /** Of the runs that a sweep took or has begun with, if there are any. */
  #takenOr(index: number): string {
    const taken = [...this.world.records.values()].filter(({ record }) => ['sweeping', 'swept'].includes(record.state));
    return taken[index % Math.max(1, taken.length)]?.record.runId ?? runOf(index);
  }

  #pinOne(runId: string): void {
    if (this.#actors[pinner] === undefined) this.#start(pinner, (deps) => this.#pin(runId, deps));
  }

  #restoreOneOf(index: number): void {
    if (this.#actors[restorer] !== undefined) return;
    const runId = this.#takenOr(index);
    this.#start(restorer, (deps) => this.#restore(runId, deps));
  }

  #sweep(who: number, report: SweepReport): void {
    this.#start(who, async (deps) => {
      await sweep(deps, modelPolicy, report, { approved: report.reportId, signal: new AbortController().signal });
    });
  }

  #start(who: number, work: (deps: SweepDeps) => Promise<void>): void {
    const actor: Actor = { world: this.world, parked: [], over: false, promise: Promise.resolve() };
    const deps = this.world.deps(
      `actor ${who}`,
      () => new Promise<void>((resolve, reject) => void actor.parked.push({ resume: resolve, kill: reject })),
    );
    actor.promise = work(deps)
      .catch((error: unknown) => {
        if (!(error instanceof CrashedError))
          this.#broken ??= error instanceof Error ? error : new Error(String(error));
      })
      .finally(() => {
        actor.over = true;
        this.#actors[who] = undefined;
      });
    this.#actors[who] = actor;
  }

  async #turn(pick: number): Promise<void> {
    const waiting = this.#actors.flatMap((actor) => actor?.parked.map((parked) => ({ actor, parked })) ?? []);
    const chosen = waiting[pick % Math.max(1, waiting.length)];
    if (chosen !== undefined) {
      chosen.actor.parked = chosen.actor.parked.filter((one) => one !== chosen.parked);
      chosen.parked.resume();
    }
    await settle();
  }

  /** The process is gone; its leases run out at once, which is the harder case. */
  async #kill(who: number): Promise<void> {
    const actor = this.#actors[who];
    if (actor === undefined) return;
    while (!actor.over) {
      for (const parked of actor.parked.splice(0)) parked.kill(new CrashedError());
      await settle();
    }
    await actor.promise;
    for (const [name, facts] of this.world.containers) this.world.containers.set(name, { ...facts, held: false });
  }

  async #drain(): Promise<void> {
    while (this.#actors.some((actor) => actor !== undefined)) await this.#turn(0);
  }

  /** A pin counts from the moment at which it was told to hold. */
  async #pin(runId: string, deps: SweepDeps): Promise<void> {
    const { world } = this;
    let told = '';
    for await (const one of pin(deps, modelPolicy, { kind: 'run', id: runId, by: 'model', reason: '' }))
      if (one.kind === 'run') told = one.outcome;
    const state = world.records.get(runId)?.record.state;
    if (told !== 'kept' || state === undefined || !world.pinned.has(`run ${runId}`)) return;
    if (state !== 'swept') {
      if (state !== 'sweeping') this.#pinHolds.add(runId);
      return;
    }
    this.acts['pinned late'] = (this.acts['pinned late'] ?? 0) + 1;
    const { id, objects } = packageOf(runIndex(runId));
    // Without the manifest nobody knows what the run consisted of.
    const known = world.blobs.has(`objects/${id}`) ? objects.map((name) => `objects/${name}`) : [];
    this.#left.set(runId, [...known.filter((name) => world.blobs.has(name)), ...this.#copiesOf(runId)]);
  }

  #copiesOf(runId: string): readonly string[] {
    const of = runContainerOf(runId);
    return [...this.world.blobs.values()]
      .filter(({ metadata }) => metadata['xva_q_container'] === of)
      .map(({ name }) => `quarantine/${name}`);
  }

  async #restore(runId: string, deps: SweepDeps): Promise<void> {
    const { world } = this;
    const outcomes: Restored[] = [];
    for await (const one of restore(deps, { runId }, 'model')) outcomes.push(one);
    const back = outcomes.some(
      ({ kind, outcome, detail }) => kind === 'run' && outcome === 'restored' && detail.includes('again'),
    );
    if (!back) return;
    this.acts['came back'] = (this.acts['came back'] ?? 0) + 1;
    if (world.pinned.has(`run ${runId}`)) this.#pinHolds.add(runId);
    demand(
      world.blobs.get(`run-${runId}/a1/shard-0001/task.json`)?.text === `task of ${runId}`,
      `${runId} came back with other bytes`,
    );
    for (const name of this.#needed.get(runId) ?? []) {
      const told = outcomes.some(({ id, outcome }) => id === `objects/${name}` && outcome === 'gone');
      const found = world.blobs.get(`objects/${name}`);
      const noManifest = outcomes.some(({ detail }) => detail.includes('without its package'));
      demand(
        told || noManifest || found?.text === `content of ${name}`,
        `${runId} came back without object ${name}, unsaid`,
      );
      // What quarantine no longer has cannot be needed from now on.
      if (told || noManifest)
        this.#needed.set(
          runId,
          (this.#needed.get(runId) ?? []).filter((one) => world.blobs.has(`objects/${one}`)),
        );
    }
  }

  /** Whatever happened, a run that is live, pinned or unpublished still has all that it needs. */
  #check(step: Step): void {
    const { world } = this;
    if (this.#broken !== undefined) throw this.#broken;
    for (const [runId, names] of this.#left) {
      if (world.records.get(runId)?.record.state !== 'swept') this.#left.delete(runId);
      else
        for (const name of names)
          demand(world.blobs.has(name), `after ${JSON.stringify(step)}: ${runId}, pinned, lost ${name}`);
    }
    for (const [runId, { record }] of world.records) {
      const unpublished = record.state === 'done' && !world.published.has(runId);
      const pinned = this.#pinHolds.has(runId) && world.pinned.has(`run ${runId}`);
      if (!(isLive(record.state) || unpublished || pinned)) continue;
      const after = `after ${JSON.stringify(step)}: ${runId} (${record.state})`;
      // A pin that comes between the claim's look and its swap is seen by the second look, before anything goes.
      demand(record.state !== 'swept' && (record.state !== 'sweeping' || pinned), `${after} was taken`);
      demand(world.containers.has(record.container), `${after} lost its container`);
      demand(world.blobs.has(`${record.container}/a1/shard-0001/task.json`), `${after} lost a blob of its container`);
      for (const name of this.#needed.get(runId) ?? [])
        demand(world.blobs.has(`objects/${name}`), `${after} lost object ${name}`);
    }
  }

  /** Everything ends and is published, time passes: whatever is not pinned must be gone after a few cycles. */
  async finish(): Promise<void> {
    const { world } = this;
    await this.#drain();
    if (this.#broken !== undefined) throw this.#broken;
    for (const [runId, { record }] of world.records) {
      if (isLive(record.state)) world.setState(runId, 'done');
      world.published.add(runId);
    }
    for (let round = 0; round < 5; round += 1) {
      world.now += 200_000_000;
      const last = await mark(world.deps(), modelPolicy, `sweep-last${round}`);
      const signal = new AbortController().signal;
      await sweep(world.deps(), modelPolicy, last, { approved: last.reportId, signal });
    }
    const kept = [...world.records.values()]
      .filter(({ record }) => record.state !== 'swept')
      .map(({ record }) => record.runId);
    demand(
      kept.every((runId) => world.pinned.has(`run ${runId}`)),
      `never taken: ${kept.join(', ')}`,
    );
    const pinned = [...world.records.keys()].filter((runId) => world.pinned.has(`run ${runId}`));
    const keptObjects = new Set([...kept, ...pinned].flatMap((runId) => packageOf(runIndex(runId)).objects));
    // Without the manifest of a kept run nothing may be called unreferenced.
    const blind = kept.some((runId) => !world.blobs.has(`objects/${packageOf(runIndex(runId)).id}`));
    const left = world.names('objects').filter((name) => !keptObjects.has(name));
    demand(blind || left.length === 0, `orphans never taken: ${left.join(', ')}`);
    // A restore that was killed leaves what it had brought so far, pinned: asked again, it goes on.
    const expected = new Set(kept.map(runContainerOf));
    const halfRestored = [...world.records.keys()]
      .filter((runId) => world.pinned.has(`run ${runId}`))
      .map(runContainerOf);
    const strays = [...world.containers.keys()].filter((name) => !expected.has(name) && !halfRestored.includes(name));
    demand(strays.length === 0, `containers left: ${strays.join(', ')}`);
    for (const name of expected) demand(world.containers.has(name), `${name} is lost`);
    demand(
      [...world.records.values()].every(({ record }) => record.state !== 'sweeping'),
      'a record stayed in sweeping',
    );
    const copies = new Set(pinned.filter((runId) => !kept.includes(runId)).flatMap((runId) => this.#copiesOf(runId)));
    const stale = world.names('quarantine').filter((name) => !copies.has(`quarantine/${name}`));
    demand(stale.length === 0, `quarantine was never emptied: ${stale.join(', ')}`);
  }
}

const runIndex = (runId: string): number => runId.charCodeAt(runId.length - 1) - 97;

/** Lets everything that can go on go on. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** Histories from a seed until so many steps were made; throws with what replays the failure. */
export async function explore(
  seed: number,
  atLeast: number,
): Promise<{ steps: number; histories: number; acts: Record<string, number> }> {
  const acts: Record<string, number> = {};
  let [steps, histories] = [0, 0];
  const history = fc.array(stepArbitrary, { minLength: 20, maxLength: 120, size: 'max' });
  for (let round = 0; steps < atLeast; round += 1) {
    await fc.assert(
      fc.asyncProperty(history, async (chosen) => {
        const model = new Model();
        for (const step of chosen) await model.run(step);
        await model.finish();
        steps += model.steps;
        histories += 1;
        for (const [name, count] of Object.entries(model.acts)) acts[name] = (acts[name] ?? 0) + count;
      }),
      { numRuns: 20, seed: seed + round, endOnFailure: false },
    );
  }
  return { steps, histories, acts };
}
