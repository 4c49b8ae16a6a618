import { silentLogger, type Clock } from '@xva/runtime';
import { ManifestCache, reconcileRun, TaskWatch, unlimited, type SubmitDeps, type SubmitPolicy } from '../src/index.ts';
import { policy as plainPolicy, type World } from './world.ts';

/** Thrown into whatever a killed reconciler was waiting for. */
export class Killed extends Error {
  override readonly name = 'Killed';
}

/** A service that did not answer; the effect may have happened. */
export class Away extends Error {
  override readonly name = 'Away';
  readonly retryable = true;
}

interface Gate {
  readonly actor: Actor;
  readonly name: string;
  readonly open: () => void;
  readonly fail: (error: Error) => void;
}

/** mulberry32: a small generator whose whole state is the seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface ActorTerms {
  readonly policy: SubmitPolicy;
  readonly room: number;
}

/** One reconciler whose every call waits twice, before and after its effect, until the test lets it go on. */
export class Actor {
  dead = false;
  readonly done: Promise<void>;
  readonly #world: World;
  readonly #gates: Gate[];

  constructor(world: World, gates: Gate[], runId: string, terms: ActorTerms) {
    this.#world = world;
    this.#gates = gates;
    this.done = this.#work(runId, terms).catch((error: unknown) => {
      if (!(error instanceof Killed)) throw error;
    });
  }

  kill(): void {
    this.dead = true;
    for (const gate of this.#gates.filter((one) => one.actor === this)) gate.fail(new Killed());
    this.#gates.splice(0, this.#gates.length, ...this.#gates.filter((one) => one.actor !== this));
  }

  #pass(name: string): Promise<void> {
    if (this.dead) return Promise.reject(new Killed());
    return new Promise((resolve, reject) => this.#gates.push({ actor: this, name, open: resolve, fail: reject }));
  }

  #gated<T extends object>(port: T, name: string): T {
    return new Proxy(port, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function' || typeof key !== 'string' || ['url', 'list', 'listOpen'].includes(key))
          return value;
        return async (...args: unknown[]): Promise<unknown> => {
          await this.#pass(`${name}.${key}:before`);
          const answer: unknown = await Reflect.apply(value, target, args);
          await this.#pass(`${name}.${key}:after`);
          return answer;
        };
      },
    });
  }

  async #work(runId: string, { policy, room }: ActorTerms): Promise<void> {
    const world = this.#world;
    const clock: Clock = { now: () => world.date, sleep: () => Promise.resolve() };
    const results = this.#gated(world.ledger.results, 'results');
    const deps: SubmitDeps = {
      runs: this.#gated(world.runs, 'runs'),
      batch: this.#gated(world.batch, 'batch'),
      work: {
        objects: this.#gated(world.work.objects, 'objects'),
        ensureRunContainer: async (name, labels) => {
          await this.#pass('work.ensureRunContainer:before');
          await world.work.ensureRunContainer(name, labels);
          await this.#pass('work.ensureRunContainer:after');
        },
        runContainer: (name) => this.#gated(world.work.runContainer(name), 'container'),
      },
      ledger: { results },
      manifests: new ManifestCache(world.work.objects),
      clock,
      policy,
      logger: silentLogger,
    };
    const watch = new TaskWatch(deps.batch, clock, { fullMs: 4 });
    for (;;) {
      await this.#pass('poll');
      // Time goes on while nobody works, so that everything is listed anew in the end.
      world.now += 1;
      try {
        const capacity = { ...unlimited(world.batch), room: () => Promise.resolve(room) };
        const result = await reconcileRun(runId, deps, { deep: true, capacity, watch });
        if (result.kind === 'over') return;
      } catch (error) {
        if (!(error instanceof Away)) throw error;
      }
    }
  }
}

export interface Chaos {
  readonly seed: number;
  readonly reconcilers: number;
  readonly kills: number;
  readonly faults: number;
  readonly zombies: number;
  /** Jobs ended, or deleted, by somebody else. */
  readonly endings: number;
  readonly deletions: number;
  readonly cancel: boolean;
  /** Running tasks whose node is taken away. */
  readonly preemptions?: number;
  /** Times that somebody pauses the run, and lets it go on later. */
  readonly pauses?: number;
  /** Tasks that a reconciler may add at a time; absent = all. */
  readonly room?: number;
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Drives reconcilers, tasks and mishaps in an order that follows from the seed alone, until nothing of the run is open.
 *
 * @throws when that does not happen: something is stuck.
 */
export async function drive(
  world: World,
  runId: string,
  chaos: Chaos,
  actions: {
    readonly cancel?: () => Promise<unknown>;
    readonly pause?: () => Promise<unknown>;
    readonly resume?: () => Promise<unknown>;
  } = {},
  policy: SubmitPolicy = plainPolicy,
): Promise<{ readonly steps: number; readonly points: ReadonlySet<string> }> {
  const random = randomFrom(chaos.seed);
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const gates: Gate[] = [];
  const points = new Set<string>();
  const terms = { policy, room: chaos.room ?? Number.MAX_SAFE_INTEGER };
  let actors = Array.from({ length: chaos.reconcilers }, () => new Actor(world, gates, runId, terms));
  let { kills, faults, zombies, endings, deletions, preemptions = 0, pauses = 0 } = chaos;
  let paused = false;
  let cancel = chaos.cancel;
  const failures: unknown[] = [];
  const watch = (actor: Actor): void => void actor.done.catch((error: unknown) => failures.push(error));
  actors.forEach(watch);
  for (let step = 0; step < 20_000; step += 1) {
    await settle();
    if (failures.length > 0) throw failures[0];
    if (gates.length === 0 && actors.every((actor) => !actor.dead)) return { steps: step, points };
    const dice = random();
    if (dice < 0.02 && kills > 0) {
      kills -= 1;
      pick(actors)?.kill();
      continue;
    }
    if (dice < 0.1 && actors.some((actor) => actor.dead)) {
      actors = actors.map((actor) => {
        if (!actor.dead) return actor;
        const next = new Actor(world, gates, runId, terms);
        watch(next);
        return next;
      });
      continue;
    }
    if (dice < 0.12 && endings > 0 && world.activeJobs().length > 0) {
      endings -= 1;
      world.endJob(pick(world.activeJobs()) ?? '', 'somebody');
      continue;
    }
    if (dice < 0.13 && deletions > 0 && world.jobs.size > 0) {
      deletions -= 1;
      world.jobs.delete(pick([...world.jobs.keys()]) ?? '');
      continue;
    }
    if (dice < 0.14 && cancel) {
      cancel = false;
      await actions.cancel?.();
      continue;
    }
    if (dice < 0.16 && (paused || pauses > 0)) {
      if (!paused) pauses -= 1;
      await (paused ? actions.resume?.() : actions.pause?.());
      paused = !paused;
      continue;
    }
    const runnable = world.runnable();
    const taken = dice < 0.18 && preemptions > 0 ? pick(runnable) : undefined;
    if (taken !== undefined) {
      preemptions -= 1;
      world.preempt(taken);
      continue;
    }
    if (dice < 0.3 && runnable.length > 0) {
      const chosen = pick(runnable);
      const zombie = zombies > 0 && random() < 0.3;
      if (zombie) zombies -= 1;
      if (chosen !== undefined) world.execute(chosen, zombie);
      continue;
    }
    const gate = pick(gates);
    if (gate === undefined) continue;
    gates.splice(gates.indexOf(gate), 1);
    points.add(gate.name);
    if (faults > 0 && gate.name !== 'poll' && random() < 0.05) {
      faults -= 1;
      gate.fail(new Away());
    } else gate.open();
  }
  throw new Error(`run ${runId} is stuck as ${world.record(runId).state}`);
}
