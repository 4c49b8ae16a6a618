import type { DeadLetter, JobRequest, LetterState } from '@xva/contracts';

/** Where an event came from; null for one that was given by hand. */
export interface EventSource {
  readonly partitionId: string;
  readonly sequenceNumber: number;
  readonly offset: string;
  readonly enqueuedAt: string;
}

export interface ReceivedEvent {
  readonly bytes: Uint8Array;
  readonly source: EventSource | null;
}

/** What a call to another process carries along. */
export interface CallContext {
  readonly signal: AbortSignal;
  readonly traceparent: string;
  readonly eventId: string;
}

/** The input API. Every method throws StepFailure. */
export interface InputApiPort {
  /** The manifest's bytes as they were answered, at most the adapter's limit. */
  createPackage(request: Uint8Array, context: CallContext): Promise<Uint8Array>;
  /** One part as a stream, unchecked. */
  openPart(packageId: string, sha256: string, context: CallContext): Promise<AsyncIterable<Uint8Array>>;
  /** Whether it answers at all, by a request that concerns no event; false also when the answer takes long. */
  alive(signal: AbortSignal): Promise<boolean>;
}

export interface StoredObject {
  readonly size: number;
  /** Makes the object young, so that no collector takes it now; `gone` when it was deleted meanwhile. */
  touch(): Promise<'touched' | 'gone'>;
}

/** Requests and objects of the work account. Every method throws StepFailure. */
export interface WorkObjects {
  /** Undefined when there is no such request; at most `maxBytes` are read. */
  readRequest(name: string, maxBytes: number): Promise<Uint8Array | undefined>;
  findObject(name: string): Promise<StoredObject | undefined>;
  /** Writes it unless one of that name is there. */
  putObject(name: string, bytes: Uint8Array): Promise<'created' | 'exists'>;
  /** The same for a stream: the object appears whole or, when the stream fails, not at all. */
  putObjectStream(name: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<'created' | 'exists'>;
}

/** What the controller says of the run, once its answer was understood. */
export interface JobAnswer {
  /** False when the run was there before. */
  readonly created: boolean;
  readonly runId: string;
  readonly eventId: string;
  readonly packageId: string;
  readonly state: string;
}

/** The batch controller's API. Throws StepFailure. */
export interface JobApiPort {
  submit(request: JobRequest, context: CallContext): Promise<JobAnswer>;
  /** Like the input API's. */
  alive(signal: AbortSignal): Promise<boolean>;
}

/** What a listing says of a letter without reading it. */
export interface LetterEntry {
  readonly id: string;
  readonly state: LetterState;
  readonly reason: string;
  /** Null when the event could not be read. */
  readonly book: string | null;
  readonly lastSeen: string;
  readonly attempts: number;
}

/** Dead letters, with compare-and-swap. Every method throws StepFailure. */
export interface DeadLetters {
  get(id: string): Promise<{ readonly letter: DeadLetter; readonly version: string } | undefined>;
  /** False when the stored one is not `version` any more (undefined = there must be none). */
  put(letter: DeadLetter, version: string | undefined): Promise<boolean>;
  /** In the order of their ids; what is no letter is left out. */
  list(): AsyncIterable<LetterEntry>;
}
