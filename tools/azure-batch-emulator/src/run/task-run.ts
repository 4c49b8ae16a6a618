import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FaultBoard } from '@xva/emulator-kit';
import type { FailureInfo } from '../store/rows.ts';
import { numberOf, textOf } from '../faults.ts';
import { durationMicros } from '../time.ts';
import type { JobSpec, TaskSpec } from '../wire/specs.ts';
import { CommandLineError, splitCommandLine } from './argv.ts';
import { environmentOf, imageFor, type ContainerImage, type EnvironmentInput, type TaskPlace } from './environment.ts';
import { TaskFailureError } from './failure.ts';
import { resolveIdentity, type Identities } from './identities.ts';
import { markerName } from './leftovers.ts';
import { uploadOutputFiles } from './output-files.ts';
import { killGroup, launch, startTimeOf } from './process.ts';
import { fetchResourceFiles } from './resource-files.ts';
import type { StorageClient } from './storage.ts';

/** What one run of a task came to, before retries and exit conditions are considered. */
export interface RunOutcome {
  /** Absent when no process ever ran. */
  readonly exitCode?: number;
  readonly failure?: FailureInfo;
  readonly stage: 'preProcessing' | 'process' | 'upload';
  readonly wallClock?: boolean;
}

/** What all runs share. */
export interface RunServices {
  readonly client: StorageClient;
  readonly faults: FaultBoard;
  readonly identities: Identities;
  readonly images: readonly ContainerImage[];
  readonly nodeEnvironment: Readonly<Record<string, string>>;
  readonly instance: string;
  /** Milliseconds between SIGTERM and SIGKILL when a task is stopped; 0 kills at once. */
  readonly killGraceMs: number;
}

export interface RunRequest {
  readonly task: TaskSpec;
  readonly job: JobSpec;
  readonly place: TaskPlace;
  readonly names: Pick<EnvironmentInput, 'account' | 'accountUrl' | 'poolId' | 'nodeId' | 'dedicated'>;
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

  constructor(services: RunServices, request: RunRequest) {
    this.#services = services;
    this.#request = request;
  }

  /** Ends the run; `now` skips the grace period. */
  stop(now = false): void {
    this.#abort.abort();
    const pgid = this.#pgid;
    if (pgid === undefined) return;
    if (now || this.#services.killGraceMs === 0) return killGroup(pgid);
    killGroup(pgid, 'SIGTERM');
    const timer = setTimeout(() => {
      if (this.#pgid === pgid) killGroup(pgid);
    }, this.#services.killGraceMs);
    timer.unref();
  }

  async run(): Promise<RunOutcome> {
    let exitCode: number | undefined;
    let wallClock = false;
    try {
      const { argv, environment } = await this.#prepare();
      const launched = await launch(argv, this.#request.place, environment);
      this.#pgid = launched.pgid;
      this.#request.started(launched.pgid, startTimeOf(launched.pgid));
      if (this.#abort.signal.aborted) this.stop();
      const guard = this.#guard(launched.pgid, () => (wallClock = true));
      exitCode = await launched.exited;
      guard();
      this.#pgid = undefined;
      if (this.#abort.signal.aborted) return { exitCode, stage: 'process' };
      await this.#upload(exitCode === 0, environment);
      return { exitCode, stage: 'process', wallClock };
    } catch (error) {
      const stage = exitCode === undefined ? 'preProcessing' : 'upload';
      const failure = error instanceof TaskFailureError ? error.info : unexpected(error);
      return { ...(exitCode === undefined ? {} : { exitCode }), failure, stage, wallClock };
    }
  }

  async #prepare(): Promise<{ argv: readonly string[]; environment: Record<string, string> }> {
    const { task, job, place, names } = this.#request;
    const { faults, images, nodeEnvironment, instance, client } = this.#services;
    const fault = faults.take('task.start', { job: job.id, task: task.id, pool: names.poolId });
    if (fault?.kind === 'delay') await pause(numberOf(fault, 'ms', 1000), this.#abort.signal);
    if (fault?.kind === 'fail') {
      const category = fault['category'] === 'UserError' ? 'UserError' : 'ServerError';
      throw new TaskFailureError(category, textOf(fault, 'code', 'CommandLaunchFailed'), 'Injected fault.');
    }
    let base = nodeEnvironment;
    if (task.containerSettings !== undefined) {
      const image = imageFor(images, task.containerSettings.imageName);
      if (image === undefined) {
        throw new TaskFailureError('UserError', 'ContainerImageNotFound', 'The container image is not mapped', {
          ImageName: task.containerSettings.imageName,
        });
      }
      base = { ...nodeEnvironment, ...image.env };
    }
    await rm(place.taskDirectory, { recursive: true, force: true });
    await mkdir(place.workingDirectory, { recursive: true });
    await mkdir(join(place.nodeRoot, 'shared'), { recursive: true });
    const environment = environmentOf({
      ...names,
      jobId: job.id,
      taskId: task.id,
      place,
      base,
      job: job.commonEnvironmentSettings ?? [],
      task: task.environmentSettings ?? [],
      marker: { [markerName]: instance },
    });
    await fetchResourceFiles(task.resourceFiles ?? [], place.workingDirectory, {
      client,
      signal: this.#abort.signal,
      keyFor: (file, url) => this.#identity(file.identityReference, url),
    });
    try {
      return { argv: splitCommandLine(task.commandLine), environment };
    } catch (error) {
      if (!(error instanceof CommandLineError)) throw error;
      throw new TaskFailureError('UserError', 'CommandLaunchFailed', `The command line is malformed: ${error.message}`);
    }
  }

  #identity(reference: { readonly resourceId?: string } | undefined, url: URL) {
    const { identities, faults } = this.#services;
    return resolveIdentity(identities, this.#request.poolIdentities, faults, reference, url);
  }

  /** Watches a running process: its wall clock, and faults that hit it. Returns what ends the watch. */
  #guard(pgid: number, expired: () => void): () => void {
    const { task, job, names } = this.#request;
    const timers: NodeJS.Timeout[] = [];
    const limit = durationMicros(task.constraints?.maxWallClockTime ?? '');
    // setTimeout's longest delay is 2^31-1 ms (24 days): a longer limit outlives any run of an emulator.
    if (limit !== undefined && limit / 1000 < 2 ** 31) {
      timers.push(setTimeout(() => (expired(), killGroup(pgid)), limit / 1000));
    }
    const fault = this.#services.faults.take('task.kill', { job: job.id, task: task.id, pool: names.poolId });
    if (fault !== undefined) {
      const signal = (fault['signal'] ?? 'SIGKILL') as NodeJS.Signals;
      timers.push(setTimeout(() => killGroup(pgid, signal), numberOf(fault, 'afterMs', 0)));
    }
    return () => timers.forEach((timer) => clearTimeout(timer));
  }

  async #upload(succeeded: boolean, environment: Readonly<Record<string, string>>): Promise<void> {
    const { task, job, place } = this.#request;
    await uploadOutputFiles(
      task.outputFiles ?? [],
      succeeded,
      { ...place, environment },
      {
        client: this.#services.client,
        signal: this.#abort.signal,
        keyFor: (file, url) => this.#identity(file.destination.container.identityReference, url),
        before: async (blob) => {
          const fault = this.#services.faults.take('upload', { job: job.id, task: task.id, blob });
          if (fault?.kind === 'delay') await pause(numberOf(fault, 'ms', 1000), this.#abort.signal);
          if (fault?.kind === 'fail') {
            throw new TaskFailureError('ServerError', textOf(fault, 'code', 'FileUploadMiscError'), 'Injected fault.');
          }
        },
      },
    );
  }
}

function unexpected(error: unknown): FailureInfo {
  const message = error instanceof Error ? error.message : String(error);
  return { category: 'ServerError', code: 'ResourceDirectoryCreateFailed', message };
}
