import { formatRequestKey, type JobRequest, type RunEvent } from '@xva/contracts';
import { childTraceparent, parseTraceparent, type Clock, type Random } from '@xva/runtime';
import { Bulkhead } from './bulkhead.ts';
import type { BreakerOptions, CircuitBreaker } from './circuit-breaker.ts';
import { bury } from './bury.ts';
import type { CrashPoint } from './crash-points.ts';
import { asStepFailure, StepFailure } from './failures.ts';
import { parseEvent } from './parse-event.ts';
import { persevere, type Patience } from './persevere.ts';
import type {
  CallContext,
  DeadLetters,
  InputApiPort,
  JobAnswer,
  JobApiPort,
  ReceivedEvent,
  WorkObjects,
} from './ports.ts';
import { loadRequest } from './request.ts';
import { Service } from './service.ts';
import { storePackage, type StoredPackage, type StoreTools } from './store-package.ts';
import { verifyManifest, type PackageLimits, type VerifiedPackage } from './verify-manifest.ts';

/** What became of an event. Both are ends: the event's effect is durable and its checkpoint may be written. */
export type Outcome =
  | {
      readonly outcome: 'submitted';
      readonly ids: EventIds;
      readonly eventId: string;
      readonly runId: string;
      readonly packageId: string;
      /** True when the controller knew the run already: an event that came again. */
      readonly existed: boolean;
      readonly stored: StoredPackage;
    }
  | {
      readonly outcome: 'dead-lettered';
      readonly ids: EventIds;
      readonly letterId: string;
      readonly failure: StepFailure;
    };

/** The calls of one event, in this order; `bury` instead of the rest when it is poison. */
export type Step = 'package' | 'submit' | 'bury';

export type Happening =
  | { readonly kind: 'done'; readonly step: Step; readonly tookMs: number }
  | { readonly kind: 'waiting'; readonly step: Step; readonly failure: StepFailure; readonly delayMs: number };

/** What is under way, over all events. */
export interface Load {
  readonly inputApi: CircuitBreaker['state'];
  readonly jobApi: CircuitBreaker['state'];
  readonly packages: number;
  readonly transfers: number;
}

/** Ids for logs: composed once per event. */
export interface EventIds {
  readonly eventId?: string;
  readonly runId?: string;
  readonly request?: string;
  readonly traceId?: string;
  readonly partition?: string;
  readonly sequence?: number;
}

export interface PackagerPorts {
  readonly objects: WorkObjects;
  readonly inputApi: InputApiPort;
  readonly jobApi: JobApiPort;
  readonly deadLetters: DeadLetters;
  readonly clock: Clock;
  readonly random: Random;
  /** Called after every step and before every wait. */
  readonly notice: (ids: EventIds, happening: Happening) => void;
  /** Called between two steps; a test kills the process here. */
  readonly crashPoint?: (name: CrashPoint) => void;
}

export interface PackagerSettings extends PackageLimits {
  readonly patience: Patience;
  readonly breaker: BreakerOptions;
  /** Packages being generated at once. */
  readonly packagesAtOnce: number;
  /** Parts looked up or in transfer at once; of those above `smallPartBytes` a few only, since each takes blocks of memory. */
  readonly transfersAtOnce: number;
  readonly largePartsAtOnce: number;
  readonly smallPartBytes: number;
  readonly maxRequestBytes: number;
}

/**
 * Turns an event into a stored package and a job request, or into a dead letter. Every step may be repeated: what it
 * leaves is named by content or by the event, so an event that comes twice has one effect.
 */
export class Packager {
  readonly #ports: PackagerPorts;
  readonly #settings: PackagerSettings;
  readonly #inputApi: Service;
  readonly #jobApi: Service;
  readonly #packages: Bulkhead;
  readonly #transfers: Bulkhead;
  readonly #largeParts: Bulkhead;

  constructor(ports: PackagerPorts, settings: PackagerSettings) {
    this.#ports = ports;
    this.#settings = settings;
    const { breaker, patience } = settings;
    const common = { breaker, operatorDelayMs: patience.operatorDelayMs, clock: ports.clock };
    this.#inputApi = new Service({ ...common, alive: (signal) => ports.inputApi.alive(signal) });
    this.#jobApi = new Service({ ...common, alive: (signal) => ports.jobApi.alive(signal) });
    this.#packages = new Bulkhead(settings.packagesAtOnce);
    this.#transfers = new Bulkhead(settings.transfersAtOnce);
    this.#largeParts = new Bulkhead(settings.largePartsAtOnce);
  }

  /** For readiness and metrics. */
  get load(): Load {
    return {
      inputApi: this.#inputApi.circuit,
      jobApi: this.#jobApi.circuit,
      packages: this.#packages.running,
      transfers: this.#transfers.running,
    };
  }

  /**
   * Returns when the event's effect is durable.
   *
   * @throws the signal's reason, or with no patience for persons or outages their StepFailure; then nothing is decided
   * about the event and it must come again.
   */
  async handle(received: ReceivedEvent, signal: AbortSignal): Promise<Outcome> {
    let event: RunEvent | undefined;
    try {
      event = parseEvent(received.bytes);
      return await this.#process(event, received, signal);
    } catch (error) {
      signal.throwIfAborted();
      const failure = asStepFailure(error);
      if (failure.kind === 'operator' || failure.kind === 'outage') throw failure;
      const ids = idsOf(received, event);
      const rejected = { received, event, failure, now: this.#ports.clock.now() };
      this.#crashPoint('beforeBury');
      const letterId = await this.#step('bury', ids, signal, () => bury(rejected, this.#ports.deadLetters));
      this.#crashPoint('afterBury');
      return { outcome: 'dead-lettered', ids, letterId, failure };
    } finally {
      if (event !== undefined) for (const service of [this.#inputApi, this.#jobApi]) service.ended(event.id);
    }
  }

  async #process(event: RunEvent, received: ReceivedEvent, signal: AbortSignal): Promise<Outcome> {
    const ids = idsOf(received, event);
    this.#crashPoint('afterReceive');
    const context: CallContext = { signal, traceparent: childTraceparent(event.traceparent), eventId: event.id };
    const { found, stored } = await this.#step('package', ids, signal, async () => {
      const made = await this.#package(event, context);
      return { found: made, stored: await storePackage(made, this.#storeTools(), context) };
    });
    this.#crashPoint('afterUpload');
    const answer = await this.#step('submit', ids, signal, () => this.#submit(event, found, context));
    this.#crashPoint('afterSubmit');
    const { runId } = event.data;
    const { packageId } = found;
    return { outcome: 'submitted', ids, eventId: event.id, runId, packageId, existed: !answer.created, stored };
  }

  /** The request is read for each try and held only while the input API works on it: what waits holds no bytes. */
  async #package(event: RunEvent, context: CallContext): Promise<VerifiedPackage> {
    const { objects, inputApi } = this.#ports;
    const { signal } = context;
    await this.#inputApi.admit(signal);
    return this.#packages.run(async () => {
      const request = await loadRequest(event, objects, this.#settings.maxRequestBytes);
      this.#crashPoint('afterLoad');
      return this.#inputApi.call('createPackage', context, async () => {
        const answer = await inputApi.createPackage(request.bytes, context);
        this.#crashPoint('afterPackage');
        return verifyManifest(answer, event, request.facts, this.#settings);
      });
    }, signal);
  }

  #submit(event: RunEvent, found: VerifiedPackage, context: CallContext): Promise<JobAnswer> {
    const { requestKey, runId } = event.data;
    const { packageId, manifest } = found;
    const request: JobRequest = {
      schemaVersion: '1.0',
      eventId: event.id,
      requestKey,
      packageId,
      priority: manifest.priority,
    };
    return this.#jobApi.call('submit', context, async () => {
      const answer = await this.#ports.jobApi.submit(request, context);
      if (answer.runId !== runId || answer.eventId !== event.id) {
        const message = `the job API answered with run ${answer.runId} of event ${answer.eventId}, not ${runId}`;
        throw new StepFailure('transient', 'job-api-nonsense', message);
      }
      if (answer.packageId !== packageId) {
        const message = `run ${runId} exists with package ${answer.packageId}, this event gives ${packageId}`;
        throw new StepFailure('poison', 'run-conflict', message);
      }
      return answer;
    });
  }

  #storeTools(): StoreTools {
    const { objects, inputApi } = this.#ports;
    return {
      objects,
      openPart: (packageId, sha256, context) =>
        this.#inputApi.stream('openPart', context, () => inputApi.openPart(packageId, sha256, context)),
      transfers: this.#transfers,
      largeParts: this.#largeParts,
      smallPartBytes: this.#settings.smallPartBytes,
      crashPoint: (name) => this.#crashPoint(name),
    };
  }

  async #step<T>(step: Step, ids: EventIds, signal: AbortSignal, operation: () => Promise<T>): Promise<T> {
    const { clock, random, notice } = this.#ports;
    const started = clock.now().getTime();
    // A dead letter must be written: an outage of the ledger makes the event wait, however long.
    const patience = step === 'bury' ? { ...this.#settings.patience, budgetMs: Infinity } : this.#settings.patience;
    const result = await persevere(operation, {
      patience,
      clock,
      random,
      signal,
      onWait: (failure, delayMs) => notice(ids, { kind: 'waiting', step, failure, delayMs }),
    });
    notice(ids, { kind: 'done', step, tookMs: clock.now().getTime() - started });
    return result;
  }

  #crashPoint(name: CrashPoint): void {
    this.#ports.crashPoint?.(name);
  }
}

/** The ids under which an event is logged. */
export function idsOf(received: ReceivedEvent, event: RunEvent | undefined): EventIds {
  const { source } = received;
  const traceId = parseTraceparent(event?.traceparent)?.traceId;
  return {
    ...(event === undefined
      ? {}
      : { eventId: event.id, runId: event.data.runId, request: formatRequestKey(event.data.requestKey) }),
    ...(traceId === undefined ? {} : { traceId }),
    ...(source === null ? {} : { partition: source.partitionId, sequence: source.sequenceNumber }),
  };
}
