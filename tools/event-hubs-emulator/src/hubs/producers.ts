import type { LogRecord } from '../log/record.ts';

/**
 * The idempotent producer: a partition remembers, per producer, the last publishing sequence number that it stored, so
 * that a batch which is sent again because its acknowledgement was lost is acknowledged again instead of stored again.
 *
 * Rules as the service documents them for partition publishing (`PartitionPublishingOptions`): the producer (group) id,
 * its owner level (epoch; a higher one shuts lower ones out, equal ones share) and sequence numbers that go up by one
 * per event, from 0 to 2^31 - 1 and round again.
 */
export interface ProducerStamp {
  readonly producerId: number;
  readonly epoch: number;
  /** Publishing sequence number of the first event of a publication. */
  readonly sequence: number;
}

/** What a link asks for when it is attached; null or undefined is for the service to fill in. */
export interface ProducerRequest {
  readonly producerId: number | undefined;
  readonly epoch: number | undefined;
  /** The last number that the producer knows to be published. */
  readonly sequence: number | undefined;
}

interface ProducerState {
  readonly epoch: number;
  readonly lastSequence: number;
  /** Sequence number, in the partition, of the last event that it published; -1 before its first one. */
  readonly storedAt: number;
}

/** Thrown when another producer of the group holds the partition with a higher epoch. */
export class ProducerEpochStolenError extends Error {
  readonly epoch: number;
  readonly current: number;

  constructor(producerId: number, epoch: number, current: number) {
    super(`Producer ${producerId} with epoch '${epoch}' is shut out: one with the higher epoch '${current}' exists.`);
    this.name = 'ProducerEpochStolenError';
    this.epoch = epoch;
    this.current = current;
  }
}

/** Thrown when publishing sequence numbers leave a gap or overlap only in part with what is stored. */
export class OutOfOrderSequenceError extends Error {
  readonly supplied: number;
  readonly expected: number;

  constructor(producerId: number, supplied: number, count: number, expected: number) {
    super(
      `Producer ${producerId} published ${count} event(s) from sequence number '${supplied}' where '${expected}' is next.`,
    );
    this.name = 'OutOfOrderSequenceError';
    this.supplied = supplied;
    this.expected = expected;
  }
}

/** Thrown when a producer's own numbers cannot be right. */
export class ProducerStampError extends Error {
  constructor(reason: string) {
    super(`The idempotent producer's numbers are wrong: ${reason}.`);
    this.name = 'ProducerStampError';
  }
}

const sequences = 2 ** 31;
/** More are kept only while their events are in the log. */
const maxProducers = 10_000;

/** The number that follows `count` events after `last`. */
export function advanceSequence(last: number, count: number): number {
  return (last + count) % sequences;
}

/** Whether a publication goes on from `last`, was stored before, or neither. */
export function judgeSequence(last: number, first: number, count: number): 'next' | 'duplicate' | 'outOfOrder' {
  const ahead = (first - advanceSequence(last, 1) + sequences) % sequences;
  if (ahead === 0) return 'next';
  const behind = sequences - ahead;
  // Half of the circle behind is the past, the other half is a gap.
  return behind <= sequences / 2 && count <= behind ? 'duplicate' : 'outOfOrder';
}

/** The producers of one partition, found again in its log after a restart. */
export class ProducerTable {
  readonly #states = new Map<number, ProducerState>();
  readonly #busy = new Map<number, Promise<unknown>>();
  #lastId = 0;

  /** Learns from a record of the log. */
  note(record: LogRecord): void {
    const stamp = stampOf(record.attributes);
    const last = record.events.at(-1);
    if (stamp === undefined || last === undefined) return;
    this.#states.set(stamp.producerId, {
      epoch: stamp.epoch,
      lastSequence: advanceSequence(stamp.sequence, record.events.length - 1),
      storedAt: last.sequence,
    });
  }

  /**
   * Lets a link in; gives its numbers. A producer whose events have all left the log is forgotten, restart or not.
   *
   * @throws ProducerEpochStolenError, ProducerStampError
   */
  attach(request: ProducerRequest, beginSequence: number, nowMs: number): ProducerStamp {
    const { producerId = this.#newId(nowMs) } = request;
    checkRange('producer-id', producerId, Number.MAX_SAFE_INTEGER);
    checkRange('producer-epoch', request.epoch ?? 0, 32_767);
    checkRange('producer-sequence-number', request.sequence ?? 0, sequences - 1);
    const known = this.#known(producerId, beginSequence);
    const epoch = request.epoch ?? known?.epoch ?? 0;
    if (known !== undefined && epoch < known.epoch) {
      throw new ProducerEpochStolenError(producerId, epoch, known.epoch);
    }
    if (known?.epoch !== epoch) {
      const lastSequence = request.sequence ?? 0;
      if (this.#states.size >= maxProducers) this.#forget(beginSequence);
      this.#states.set(producerId, { epoch, lastSequence, storedAt: -1 });
      return { producerId, epoch, sequence: lastSequence };
    }
    // What the producer knows counts while it is behind: it will send again what it does not know to be stored.
    const sequence = request.sequence ?? known.lastSequence;
    const isAhead = judgeSequence(known.lastSequence, sequence, 1) !== 'duplicate';
    return { producerId, epoch, sequence: isAhead ? known.lastSequence : sequence };
  }

  /**
   * Stores a publication unless it is there already. Publications of one producer go one after the other, so that a
   * repeat waits for the first copy's commit instead of being acknowledged before it.
   *
   * @throws ProducerEpochStolenError, OutOfOrderSequenceError, and what `store` throws.
   */
  async publish(
    stamp: ProducerStamp,
    count: number,
    store: () => Promise<{ readonly lastSequence: number }>,
  ): Promise<'stored' | 'duplicate'> {
    const before = this.#busy.get(stamp.producerId) ?? Promise.resolve();
    const turn = before.then(() => this.#publishNow(stamp, count, store));
    const settled = turn.catch(() => undefined);
    this.#busy.set(stamp.producerId, settled);
    try {
      return await turn;
    } finally {
      if (this.#busy.get(stamp.producerId) === settled) this.#busy.delete(stamp.producerId);
    }
  }

  async #publishNow(
    stamp: ProducerStamp,
    count: number,
    store: () => Promise<{ readonly lastSequence: number }>,
  ): Promise<'stored' | 'duplicate'> {
    const { producerId, epoch, sequence } = stamp;
    const known = this.#states.get(producerId);
    if (known !== undefined && epoch < known.epoch) {
      throw new ProducerEpochStolenError(producerId, epoch, known.epoch);
    }
    const last = known?.lastSequence ?? advanceSequence(sequence, sequences - 1);
    const verdict = judgeSequence(last, sequence, count);
    if (verdict === 'outOfOrder') {
      throw new OutOfOrderSequenceError(producerId, sequence, count, advanceSequence(last, 1));
    }
    if (verdict === 'duplicate') return 'duplicate';
    const { lastSequence: storedAt } = await store();
    const current = this.#states.get(producerId);
    // A higher epoch may have been attached meanwhile; its numbers stay.
    if (current === undefined || current.epoch <= epoch) {
      this.#states.set(producerId, { epoch, lastSequence: advanceSequence(sequence, count - 1), storedAt });
    }
    return 'stored';
  }

  #known(producerId: number, beginSequence: number): ProducerState | undefined {
    const known = this.#states.get(producerId);
    if (known === undefined || known.storedAt === -1 || known.storedAt >= beginSequence) return known;
    this.#states.delete(producerId);
    return undefined;
  }

  /** Lets go of those whose events are gone, and of the older half of those that never published. */
  #forget(beginSequence: number): void {
    const silent = [...this.#states].filter(([, { storedAt }]) => storedAt < beginSequence);
    const never = silent.filter(([, { storedAt }]) => storedAt === -1);
    const gone = silent.filter(([, { storedAt }]) => storedAt !== -1);
    for (const [id] of [...gone, ...never.slice(0, Math.ceil(never.length / 2))]) this.#states.delete(id);
  }

  /** Unique also across restarts, as long as the clock moves. */
  #newId(nowMs: number): number {
    this.#lastId = Math.max(this.#lastId + 1, nowMs * 1000);
    return this.#lastId;
  }
}

function checkRange(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= most) return;
  throw new ProducerStampError(`com.microsoft:${name} is '${value}', not a whole number from 0 to ${most}`);
}

function stampOf(attributes: Readonly<Record<string, unknown>>): ProducerStamp | undefined {
  const { producerId, epoch, sequence } = attributes as Partial<ProducerStamp>;
  return producerId === undefined || epoch === undefined || sequence === undefined
    ? undefined
    : { producerId, epoch, sequence };
}
