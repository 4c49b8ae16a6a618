import { samplePackage, type SamplePackage } from '@xva/testkit';
import { silentLogger } from '@xva/runtime';
import {
  acceptRun,
  ManifestCache,
  reconcileRun,
  type RunStore,
  type SubmitDeps,
  type SubmitPolicy,
  type WorkStorage,
} from '../src/index.ts';
import { openShards } from '../src/record.ts';
import { policy, World } from './world.ts';

/** The parts of a run's life at which a fault may strike. */
export const stages = ['submit', 'watch', 'retry', 'merge', 'publish', 'cancel'] as const;
export type Stage = (typeof stages)[number];

/** Thrown into whatever the killed controller was doing. */
export class Killed extends Error {
  override readonly name = 'Killed';
}

/** What an adapter throws when its service did not do, or may not have done, what it was asked. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly status: number;
  readonly retryable = true;
  constructor(status: number) {
    super(`status ${status}`);
    this.status = status;
  }
}

/** One call that is about to be made. */
export interface Call {
  readonly world: World;
  readonly stage: Stage;
  /** `batch.addJob`, `container.openRead`, … */
  readonly name: string;
  readonly args: readonly unknown[];
  /** Makes the call. */
  readonly go: () => Promise<unknown>;
  /** A pass of another replica, from its own reading of the record. */
  readonly other: () => Promise<unknown>;
}

/** Does what it likes with a call and gives its answer; undefined = the call is not its business. */
export type Inject = (call: Call) => Promise<unknown> | undefined;

const costNanos = [6e7, 6e7, 6e7];
const values = { nettingSets: 3, samples: 1000, gridDates: 10, costNanos };

/** A world with one run, a controller that is restarted when it is killed, and something that strikes. */
export class Trial {
  readonly world = new World();
  readonly sample: SamplePackage;
  runId = '';
  /** Controllers that were killed. */
  kills = 0;
  readonly #policy: SubmitPolicy;
  readonly #inject: Inject;

  constructor(inject: Inject, change: Partial<SubmitPolicy> = {}) {
    this.#inject = inject;
    this.#policy = { ...policy, largePoolId: 'large', ...change };
    this.sample = samplePackage({ name: 'trial', ...values });
    this.world.upload(this.sample);
  }

  get #stage(): Stage {
    const found = this.world.records.get(this.runId);
    if (found === undefined) return 'submit';
    const { record } = found;
    if (record.state === 'queued' || record.state === 'submitting') return 'submit';
    if (record.state === 'publishing') return 'publish';
    if (record.state !== 'running') return 'cancel';
    const failed = this.world.tasksOf(this.runId).some((task) => task.facts.result === 'failure');
    const unplaced = record.attempts.some((attempt) => attempt.submittedAt === null && attempt.endedAt === null);
    if (openShards(record).length === 0) return 'merge';
    return failed || unplaced ? 'retry' : 'watch';
  }

  #struck<T extends object>(port: T, name: string): T {
    return new Proxy(port, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function' || typeof key !== 'string' || key === 'url' || key === 'runContainer')
          return value;
        if (key === 'list' || key === 'listOpen') {
          return (...args: unknown[]): unknown =>
            this.#iterate(`${name}.${key}`, args, () => Reflect.apply(value, target, args));
        }
        return (...args: unknown[]): Promise<unknown> =>
          this.#call(`${name}.${key}`, args, () => Reflect.apply(value, target, args) as Promise<unknown>);
      },
    });
  }

  async *#iterate(name: string, args: readonly unknown[], go: () => unknown): AsyncGenerator {
    yield* (await this.#call(name, args, async () => go())) as AsyncIterable<unknown>;
  }

  #call(name: string, args: readonly unknown[], go: () => Promise<unknown>): Promise<unknown> {
    const { world } = this;
    const call: Call = {
      ...{ world, stage: this.#stage, name, args, go },
      other: () => reconcileRun(this.runId, this.#plain(), { deep: true }),
    };
    return this.#inject(call) ?? go();
  }

  #plain(): SubmitDeps {
    const { world } = this;
    return {
      runs: world.runs,
      batch: world.batch,
      work: world.work,
      ledger: world.ledger,
      manifests: new ManifestCache(world.work.objects),
      clock: { now: () => world.date, sleep: () => Promise.resolve() },
      policy: this.#policy,
      logger: silentLogger,
    };
  }

  deps(): SubmitDeps {
    const { world } = this;
    const objects = this.#struck(world.work.objects, 'objects');
    const work: WorkStorage = {
      objects,
      ensureRunContainer: (name, labels) =>
        this.#call('work.ensureRunContainer', [name], () => world.work.ensureRunContainer(name, labels)),
      runContainer: (name) => this.#struck(world.work.runContainer(name), 'container'),
    };
    const runs: RunStore = this.#struck(world.runs, 'runs');
    return {
      ...this.#plain(),
      ...{ runs, work, batch: this.#struck(world.batch, 'batch') },
      ledger: { results: this.#struck(world.ledger.results, 'results') },
      manifests: new ManifestCache(objects),
    };
  }

  /** Submits until it is answered, as the event controller does. */
  async submit(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) {
      try {
        const deps = this.deps();
        const accepted = await acceptRun(
          { request: this.sample.request, submittedBy: 'test', traceparent: null },
          { ...deps, limits: this.#policy, isBusy: () => false },
        );
        if (accepted.outcome !== 'created' && accepted.outcome !== 'exists') throw new Error(accepted.outcome);
        this.runId = accepted.run.record.runId;
        return;
      } catch (error) {
        this.#survive(error);
      }
    }
    throw new Error('the run was not accepted');
  }

  /**
   * Passes and tasks in turn until nothing of the run is open.
   *
   * @param held a task that waits longer than the others
   * @throws when that does not happen: it is stuck
   */
  async finish(between: (turn: number) => Promise<unknown> = () => Promise.resolve(), held?: string): Promise<void> {
    for (let turn = 0; turn < 80; turn += 1) {
      try {
        const result = await reconcileRun(this.runId, this.deps(), { deep: true });
        if (result.kind === 'over') return;
      } catch (error) {
        this.#survive(error);
        continue;
      }
      this.world.now += 60_000;
      await between(turn);
      const stop = this.world.record(this.runId).state === 'cancelled';
      for (const found of stop ? [] : this.world.runnable()) {
        // One task still waits while another is tried again.
        if (found.task.spec.id !== held || turn > 1) this.world.execute(found);
      }
    }
    throw new Error(`stuck as ${this.world.record(this.runId).state}`);
  }

  #survive(error: unknown): void {
    if (error instanceof Killed) this.kills += 1;
    else if (!(error instanceof ServiceError)) throw error;
  }
}
