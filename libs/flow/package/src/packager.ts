import { formatRequestKey, type JobRequest, type RunEvent } from '@xva/contracts';
import { childTraceparent, parseTraceparent, type Clock, type Random } from '@xva/runtime';
import { Bulkhead } from './bulkhead.ts';
import { CircuitBreaker, type BreakerOptions } from './circuit-breaker.ts';
import { bury } from './bury.ts';
import { asStepFailure, StepFailure } from './failures.ts';
import { Gate } from './gate.ts';
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
import { storePackage, type StoredPackage } from './store-package.ts';
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
export type Step = 'parse' | 'load' | 'package' | 'submit' | 'bury';

export type Happening =
  | { readonly kind: 'done'; readonly step: Step; readonly tookMs: number }
  | { readonly kind: 'waiting'; readonly step: Step; readonly failure: StepFailure; readonly delayMs: number };

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
  readonly crashPoint?: (name: string) => void;
}

export interface PackagerSettings extends PackageLimits {
  readonly patience: Patience;
  readonly breaker: BreakerOptions;
  /** Packages being generated at once. */
  readonly packagesAtOnce: number;
  /** Parts in transfer at once. */
  readonly transfersAtOnce: number;
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
  readonly #breaker: CircuitBreaker;
  readonly #packages: Bulkhead;
  readonly #transfers: Bulkhead;
  readonly #jobGate: Gate;

  constructor(ports: PackagerPorts, settings: PackagerSettings) {
    this.#ports = ports;
    this.#settings = settings;
    this.#breaker = new CircuitBreaker(settings.breaker, () => ports.clock.now().getTime());
    this.#packages = new Bulkhead(settings.packagesAtOnce);
    this.#transfers = new Bulkhead(settings.transfersAtOnce);
    this.#jobGate = new Gate(ports.clock);
  }

  /** For readiness and metrics. */
  get load(): { readonly circuit: CircuitBreaker['state']; readonly packages: number; readonly transfers: number } {
    return { circuit: this.#breaker.state, packages: this.#packages.running, transfers: this.#transfers.running };
  }

  /**
   * Returns when the event's effect is durable.
   *
   * @throws the signal's reason, or with no patience for operators their StepFailure; then nothing is decided about the
   * event and it must come again.
   */
  async handle(received: ReceivedEvent, signal: AbortSignal): Promise<Outcome> {
    let event: RunEvent | undefined;
    try {
      event = parseEvent(received.bytes);
      return await this.#process(event, received, signal);
    } catch (error) {
      signal.throwIfAborted();
      const failure = asStepFailure(error);
      if (failure.kind === 'operator') throw failure;
      const ids = idsOf(received, event);
      const rejected = { received, event, failure, now: this.#ports.clock.now() };
      const letterId = await this.#step('bury', ids, signal, () => bury(rejected, this.#ports.deadLetters));
      this.#crashPoint('afterBury');
      return { outcome: 'dead-lettered', ids, letterId, failure };
    }
  }

  async #process(event: RunEvent, received: ReceivedEvent, signal: AbortSignal): Promise<Outcome> {
    const ids = idsOf(received, event);
    const { objects } = this.#ports;
    this.#crashPoint('afterReceive');
    const context: CallContext = { signal, traceparent: childTraceparent(event.traceparent), eventId: event.id };
    const request = await this.#step('load', ids, signal, () =>
      loadRequest(event, objects, this.#settings.maxRequestBytes),
    );
    this.#crashPoint('afterLoad');
    const { found, stored } = await this.#step('package', ids, signal, async () => {
      const answer = await this.#packages.run(
        () => this.#breaker.run(() => this.#ports.inputApi.createPackage(request.bytes, context)),
        signal,
      );
      this.#crashPoint('afterPackage');
      const verified = verifyManifest(answer, event, request.facts, this.#settings);
      return { found: verified, stored: await storePackage(verified, this.#storeTools(), context) };
    });
    this.#crashPoint('afterUpload');
    const answer = await this.#step('submit', ids, signal, () => this.#submit(event, found, context));
    this.#crashPoint('afterSubmit');
    const { runId } = event.data;
    const { packageId } = found;
    return { outcome: 'submitted', ids, eventId: event.id, runId, packageId, existed: !answer.created, stored };
  }

  async #submit(event: RunEvent, found: VerifiedPackage, context: CallContext): Promise<JobAnswer> {
    const { requestKey, runId } = event.data;
    const { packageId, manifest } = found;
    const request: JobRequest = {
      schemaVersion: '1.0',
      eventId: event.id,
      requestKey,
      packageId,
      priority: manifest.priority,
    };
    await this.#jobGate.pass(context.signal);
    let answer: JobAnswer;
    try {
      answer = await this.#ports.jobApi.submit(request, context);
    } catch (error) {
      if (error instanceof StepFailure && error.kind === 'busy') {
        this.#jobGate.closeFor(Math.min(error.retryAfterMs ?? 0, longestPauseMs));
      }
      throw error;
    }
    if (answer.runId !== runId || answer.eventId !== event.id) {
      const message = `the job API answered with run ${answer.runId} of event ${answer.eventId}, not ${runId}`;
      throw new StepFailure('transient', 'job-api-nonsense', message);
    }
    if (answer.packageId !== packageId) {
      const message = `run ${runId} exists with package ${answer.packageId}, this event gives ${packageId}`;
      throw new StepFailure('poison', 'run-conflict', message);
    }
    return answer;
  }

  #storeTools(): Parameters<typeof storePackage>[1] {
    const { objects, inputApi } = this.#ports;
    const guarded = {
      createPackage: inputApi.createPackage.bind(inputApi),
      openPart: (...args: Parameters<InputApiPort['openPart']>) => this.#breaker.run(() => inputApi.openPart(...args)),
    };
    return { objects, inputApi: guarded, transfers: this.#transfers, smallPartBytes: this.#settings.smallPartBytes };
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

  #crashPoint(name: string): void {
    this.#ports.crashPoint?.(name);
  }
}

const longestPauseMs = 60_000;

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
