import type { Clock } from '@xva/runtime';
import { MemoryDeadLetters, MemoryWorkObjects, type SampleEvent } from '@xva/testkit';
import {
  Packager,
  StepFailure,
  type EventIds,
  type Happening,
  type InputApiPort,
  type JobAnswer,
  type JobApiPort,
  type PackagerSettings,
  type ReceivedEvent,
} from '../src/index.ts';

/** Time that passes only when someone sleeps: waits take no time in tests and are seen. */
export class JumpingClock implements Clock {
  #now = Date.parse('2026-09-30T18:00:00Z');
  readonly slept: number[] = [];

  now(): Date {
    return new Date(this.#now);
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.slept.push(ms);
    // A turn of the event loop: who only waits must not keep those from going on who work.
    await new Promise((resolve) => setImmediate(resolve));
    if (signal?.aborted !== true) this.#now += ms;
  }
}

/** An input API that answers with the samples' packages, after what is in `failures` has been thrown. */
export class FakeInputApi implements InputApiPort {
  readonly samples: SampleEvent[];
  readonly failures: StepFailure[] = [];
  readonly partFailures: StepFailure[] = [];
  answer: ((sample: SampleEvent) => Uint8Array) | undefined;
  part: ((bytes: Buffer) => Uint8Array) | undefined;
  /** Whether it answers a request that concerns no event. */
  lives = true;
  /** Small, so that whatever is looked for lies across the border of two chunks. */
  chunkBytes = 7;
  created = 0;
  opened: string[] = [];
  running = 0;
  mostRunning = 0;

  constructor(samples: SampleEvent[]) {
    this.samples = samples;
  }

  async createPackage(request: Uint8Array): Promise<Uint8Array> {
    this.created += 1;
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    await new Promise((resolve) => setImmediate(resolve));
    this.running -= 1;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    const sample = this.samples.find((candidate) => candidate.requestBytes.equals(request));
    if (sample === undefined) throw new Error('a request that was never frozen');
    return this.answer?.(sample) ?? sample.manifestBytes;
  }

  alive(): Promise<boolean> {
    return Promise.resolve(this.lives);
  }

  openPart(_packageId: string, sha256: string): Promise<AsyncIterable<Uint8Array>> {
    this.opened.push(sha256);
    const failure = this.partFailures.shift();
    if (failure !== undefined) return Promise.reject(failure);
    const bytes = this.samples.map((sample) => sample.parts.get(sha256)).find((found) => found !== undefined);
    if (bytes === undefined) {
      return Promise.reject(new StepFailure('transient', 'part-not-cached', `no part ${sha256}`));
    }
    return Promise.resolve(chunked(this.part?.(bytes) ?? bytes, this.chunkBytes));
  }
}

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

/** A controller that keeps runs by event, as the real one does. */
export class FakeJobApi implements JobApiPort {
  readonly runs = new Map<string, string>();
  readonly failures: StepFailure[] = [];
  lives = true;
  asked = 0;
  change: ((answer: JobAnswer) => JobAnswer) | undefined;
  readonly #runIdOf: (eventId: string) => string;

  constructor(samples: readonly SampleEvent[]) {
    this.#runIdOf = (eventId) => samples.find(({ event }) => event.id === eventId)?.event.data.runId ?? 'unknown';
  }

  alive(): Promise<boolean> {
    return Promise.resolve(this.lives);
  }

  submit(request: Parameters<JobApiPort['submit']>[0]): Promise<JobAnswer> {
    this.asked += 1;
    const failure = this.failures.shift();
    if (failure !== undefined) return Promise.reject(failure);
    const known = this.runs.get(request.eventId);
    if (known === undefined) this.runs.set(request.eventId, request.packageId);
    const answer = {
      created: known === undefined,
      eventId: request.eventId,
      runId: this.#runIdOf(request.eventId),
      packageId: known ?? request.packageId,
      state: 'queued',
    };
    return Promise.resolve(this.change?.(answer) ?? answer);
  }
}

export const settings: PackagerSettings = {
  patience: { budgetMs: 60_000, outageMs: undefined, baseDelayMs: 100, maxDelayMs: 5_000, operatorDelayMs: 10_000 },
  breaker: { failures: 5, coolDownMs: 2_000 },
  packagesAtOnce: 4,
  transfersAtOnce: 8,
  largePartsAtOnce: 2,
  smallPartBytes: 1_000,
  maxPartBytes: 1_000_000,
  maxPackageBytes: 2_000_000,
  maxRequestBytes: 1_000_000,
};

/** Everything that a packager talks to, and what it said. */
export class Rig {
  readonly clock = new JumpingClock();
  readonly objects = new MemoryWorkObjects();
  readonly deadLetters = new MemoryDeadLetters();
  readonly inputApi: FakeInputApi;
  readonly jobApi: FakeJobApi;
  readonly happenings: { ids: EventIds; happening: Happening }[] = [];
  readonly samples: SampleEvent[];

  constructor(samples: SampleEvent[]) {
    this.samples = samples;
    this.inputApi = new FakeInputApi(samples);
    this.jobApi = new FakeJobApi(samples);
    for (const { requestName, requestBytes } of samples) this.objects.requests.set(requestName, requestBytes);
  }

  packager(change: Partial<PackagerSettings> = {}): Packager {
    return new Packager(
      {
        objects: this.objects,
        inputApi: this.inputApi,
        jobApi: this.jobApi,
        deadLetters: this.deadLetters,
        clock: this.clock,
        random: () => 0.5,
        notice: (ids, happening) => this.happenings.push({ ids, happening }),
      },
      { ...settings, ...change },
    );
  }
}

/** Stands for the end of the process: nothing catches it. */
export class CrashError extends Error {
  override readonly name = 'CrashError';
}

export const received = (sample: SampleEvent): ReceivedEvent => ({ bytes: sample.eventBytes, source: null });
export const never = new AbortController().signal;
export const transient = (reason = 'input-api-unavailable'): StepFailure =>
  new StepFailure('transient', reason, 'down');
