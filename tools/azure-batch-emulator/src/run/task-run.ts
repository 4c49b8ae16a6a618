import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FaultBoard } from '@xva/emulator-kit';
import type { FailureInfo } from '../store/rows.ts';
import { numberOf, textOf } from '../faults.ts';
import { durationMicros } from '../time.ts';
import type { NameValue, RunnableSpec } from '../wire/specs.ts';
import { environmentOf, imageFor, type ContainerImage, type EnvironmentInput, type TaskPlace } from './environment.ts';
import type { ContainerRuntime } from './containers.ts';
import { TaskFailureError } from './failure.ts';
import { resolveIdentity, type Identities } from './identities.ts';
import { markerName } from './leftovers.ts';
import type { GroupWatch, TaskLimits } from './limits.ts';
import { uploadOutputFiles } from './output-files.ts';
import { killGroup, launch, startTimeOf } from './process.ts';
import { planProcess, type ProcessPlan } from './plan.ts';
import { fetchResourceFiles } from './resource-files.ts';
import type { StorageClient } from './storage.ts';

/** What one run of a task came to, before retries and exit conditions are considered. */
export interface RunOutcome {
  /** Absent when no process ever ran. */
  readonly exitCode?: number;
  readonly failure?: FailureInfo;
  readonly stage: 'preProcessing' | 'process' | 'upload';
  readonly wallClock?: boolean;
  /** Microseconds of processor time, as far as it could be seen. */
  readonly cpu?: number;
}

/** What all runs share. */
export interface RunServices {
  readonly client: StorageClient;
  readonly faults: FaultBoard;
  readonly identities: Identities;
  readonly images: readonly ContainerImage[];
  readonly runtime: () => Promise<ContainerRuntime | undefined>;
  readonly limits: TaskLimits;
  readonly watch: GroupWatch;
  readonly prlimit: string | undefined;
  /** Folder of the control groups of tasks (cgroup v2), if they get any. */
  readonly cgroup: string | undefined;
  readonly nodeEnvironment: Readonly<Record<string, string>>;
  readonly instance: string;
  /** Milliseconds between SIGTERM and SIGKILL when a task is stopped; 0 kills at once. */
  readonly killGraceMs: number;
}

export interface RunRequest {
  readonly task: RunnableSpec;
  readonly place: TaskPlace;
  readonly names: Omit<EnvironmentInput, 'place' | 'base' | 'job' | 'task' | 'marker'>;
  /** The job's environment settings for all its tasks. */
  readonly common: readonly NameValue[];
  readonly poolIdentities: ReadonlySet<string> | undefined;
  /** The group is alive from now on. */
  readonly started: (pgid: number, startTime: string) => void;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/**
 * One run of one task on one node: directory, resource files, process, output files. `stop` ends it at any moment; the
 * caller then knows why and ignores the outcome.
 */
export class TaskRun {
  readonly #services: RunServices;
  readonly #request: RunRequest;
  readonly #abort = new AbortController();
  #pgid: number | undefined;
  #plan: ProcessPlan | undefined;

  constructor(services: RunServices, request: RunRequest) {
    this.#services = services;
    this.#request = request;
  }

  /** Resolves when the run is told to stop. */
  readonly stopped = new Promise<void>((resolve) => {
    this.#abort.signal.addEventListener('abort', () => resolve(), { once: true });
  });

  /** Ends the run; `now` skips the grace period. */
  stop(now = false): void {
    this.#abort.abort();
    const pgid = this.#pgid;
    if (pgid === undefined) return;
    if (now || this.#services.killGraceMs === 0) return this.#kill(pgid);
    killGroup(pgid, 'SIGTERM');
    const timer = setTimeout(() => {
      if (this.#pgid === pgid) this.#kill(pgid);
    }, this.#services.killGraceMs);
    timer.unref();
  }

  #kill(pgid: number): void {
    this.#plan?.kill();
    killGroup(pgid);
  }

  async run(): Promise<RunOutcome> {
    let exitCode: number | undefined;
    let wallClock = false;
    let cpu = 0;
    try {
      const environment = await this.#prepare();
      const plan = await planProcess(this.#services, this.#request, environment);
      this.#plan = plan;
      const launched = await launch(plan.argv, this.#request.place, environment);
      this.#pgid = launched.pgid;
      this.#announce(launched.pgid);
      if (this.#abort.signal.aborted) this.stop();
      const guard = this.#guard(launched.pgid, plan, () => (wallClock = true));
      exitCode = await launched.exited;
      cpu = guard();
      this.#pgid = undefined;
      cpu = Math.max(cpu, plan.ended());
      if (this.#abort.signal.aborted) return { exitCode, stage: 'process', cpu };
      await this.#upload(exitCode === 0, environment);
      return { exitCode, stage: 'process', wallClock, cpu };
    } catch (error) {
      const stage = exitCode === undefined ? 'preProcessing' : 'upload';
      const failure = error instanceof TaskFailureError ? error.info : unexpected(error, stage);
      return { ...(exitCode === undefined ? {} : { exitCode }), failure, stage, wallClock, cpu };
    }
  }

  /** A process that could not be noted down must not live: nobody would find it again. */
  #announce(pgid: number): void {
    try {
      this.#request.started(pgid, startTimeOf(pgid));
    } catch (error) {
      this.#kill(pgid);
      throw error;
    }
  }

  /** The fault rules' attributes of this run. */
  #attributes(): Record<string, unknown> {
    const { jobId, taskId, poolId, nodeId, account } = this.#request.names;
    return { job: jobId, task: taskId ?? 'starttask', pool: poolId, node: nodeId, account };
  }

  async #prepare(): Promise<Record<string, string>> {
    const { task, place, names, common } = this.#request;
    const { faults, images, nodeEnvironment, instance, client } = this.#services;
    const image = task.containerSettings?.imageName;
    const fault = faults.take('task.start', this.#attributes());
    if (fault?.kind === 'delay') await pause(numberOf(fault, 'ms', 1000), this.#abort.signal);
    if (fault?.kind === 'fail') {
      const category = fault['category'] === 'UserError' ? 'UserError' : 'ServerError';
      throw new TaskFailureError(category, textOf(fault, 'code', 'CommandLaunchFailed'), 'Injected fault.');
    }
    await rm(place.taskDirectory, { recursive: true, force: true });
    await mkdir(place.workingDirectory, { recursive: true });
    await mkdir(join(place.nodeRoot, 'shared'), { recursive: true });
    const environment = environmentOf({
      ...names,
      place,
      base: { ...nodeEnvironment, ...(image === undefined ? {} : imageFor(images, image)?.env) },
      job: common,
      task: task.environmentSettings ?? [],
      marker: { [markerName]: instance },
    });
    await fetchResourceFiles(task.resourceFiles ?? [], place.workingDirectory, {
      client,
      signal: this.#abort.signal,
      keyFor: (file, url) => this.#identity(file.identityReference, url),
    });
    return environment;
  }

  #identity(reference: { readonly resourceId?: string } | undefined, url: URL) {
    const { identities, faults } = this.#services;
    return resolveIdentity(identities, this.#request.poolIdentities, faults, reference, url);
  }

  /** Watches a running process: its wall clock, its memory, and faults that hit it. Returns what ends the watch. */
  #guard(pgid: number, plan: ProcessPlan, expired: () => void): () => number {
    const { task } = this.#request;
    const timers: NodeJS.Timeout[] = [];
    const limit = durationMicros(task.constraints?.maxWallClockTime ?? '');
    // setTimeout's longest delay is 2^31-1 ms (24 days): a longer limit outlives any run of an emulator.
    if (limit !== undefined && limit / 1000 < 2 ** 31) {
      timers.push(setTimeout(() => (expired(), this.#kill(pgid)), limit / 1000));
    }
    const fault = this.#services.faults.take('task.kill', this.#attributes());
    if (fault !== undefined) {
      const signal = (fault['signal'] ?? 'SIGKILL') as NodeJS.Signals;
      timers.push(setTimeout(() => killGroup(pgid, signal), numberOf(fault, 'afterMs', 0)));
    }
    const memoryBytes = plan.limitsMemory ? undefined : this.#services.limits.memoryBytes;
    const unwatch = this.#services.watch.watch(pgid, memoryBytes, () => this.#kill(pgid));
    return () => {
      timers.forEach((timer) => clearTimeout(timer));
      return unwatch();
    };
  }

  async #upload(succeeded: boolean, environment: Readonly<Record<string, string>>): Promise<void> {
    const { task, place } = this.#request;
    await uploadOutputFiles(
      task.outputFiles ?? [],
      succeeded,
      { ...place, environment },
      {
        client: this.#services.client,
        signal: this.#abort.signal,
        keyFor: (file, url) => this.#identity(file.destination.container.identityReference, url),
        before: async (blob) => {
          const fault = this.#services.faults.take('upload', { ...this.#attributes(), blob });
          if (fault?.kind === 'delay') await pause(numberOf(fault, 'ms', 1000), this.#abort.signal);
          if (fault?.kind === 'fail') {
            throw new TaskFailureError('ServerError', textOf(fault, 'code', 'FileUploadMiscError'), 'Injected fault.');
          }
        },
      },
    );
  }
}

function unexpected(error: unknown, stage: 'preProcessing' | 'upload'): FailureInfo {
  const message = error instanceof Error ? error.message : String(error);
  const code = stage === 'upload' ? 'FileUploadMiscError' : 'ResourceDirectoryCreateFailed';
  return { category: 'ServerError', code, message };
}
