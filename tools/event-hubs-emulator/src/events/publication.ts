import {
  AmqpDecodeError,
  encodeString,
  encodeSymbol,
  readBinary,
  readInteger,
  readMapPairs,
  readText,
  scanSections,
  sectionCode,
  type RawPair,
} from './encoding.ts';
import type { StoredEvent } from './stored-event.ts';

/** Message format of a batch: data sections that each hold one encoded message. */
export const batchFormat = 0x80013700;

const partitionKeyName = 'x-opt-partition-key';
const publisherName = 'x-opt-publisher';

/** Annotations with which an idempotent producer numbers its events. */
export const producerNames = {
  epoch: 'com.microsoft:producer-epoch',
  producerId: 'com.microsoft:producer-id',
  sequence: 'com.microsoft:producer-sequence-number',
} as const;

/** An event's numbers as its idempotent producer gave them. */
export interface EventStamp {
  readonly producerId: number | undefined;
  readonly epoch: number | undefined;
  readonly sequence: number | undefined;
}

/** Annotations that only the service sets; a producer's own values for them are dropped, as they would mislead. */
const serviceAnnotations = new Set(['x-opt-sequence-number', 'x-opt-offset', 'x-opt-enqueued-time', publisherName]);

/** What one transfer carries: all of its events go to one partition, together or not at all. */
export interface Publication {
  readonly partitionKey: string | undefined;
  readonly events: readonly StoredEvent[];
  /** One per event. */
  readonly stamps: readonly EventStamp[];
}

interface ScannedMessage {
  readonly event: StoredEvent;
  readonly partitionKey: string | undefined;
  readonly stamp: EventStamp;
}

const empty = Buffer.alloc(0);

function keyOf(pairs: readonly RawPair[], source: Buffer): string | undefined {
  const pair = pairs.find((candidate) => candidate.key === partitionKeyName);
  return pair === undefined ? undefined : readText(source, pair.valueStart);
}

function stampOf(pairs: readonly RawPair[], source: Buffer): EventStamp {
  const numberOf = (name: string): number | undefined => {
    const pair = pairs.find((candidate) => candidate.key === name);
    return pair === undefined ? undefined : readInteger(source, pair.valueStart);
  };
  return {
    producerId: numberOf(producerNames.producerId),
    epoch: numberOf(producerNames.epoch),
    sequence: numberOf(producerNames.sequence),
  };
}

function scanMessage(message: Buffer): ScannedMessage {
  let header: Buffer = empty;
  let pairs: readonly RawPair[] = [];
  let bareStart = message.length;
  for (const section of scanSections(message)) {
    if (section.code === sectionCode.header) header = message.subarray(section.start, section.end);
    else if (section.code === sectionCode.messageAnnotations) pairs = readMapPairs(message, section.valueStart);
    else if (section.code !== sectionCode.deliveryAnnotations) {
      bareStart = section.start;
      break;
    }
  }
  const kept = pairs.filter((pair) => pair.key === undefined || !serviceAnnotations.has(pair.key));
  return {
    event: {
      header,
      annotationCount: kept.length,
      annotations: Buffer.concat(kept.map((pair) => pair.bytes)),
      bare: message.subarray(bareStart),
    },
    partitionKey: keyOf(pairs, message),
    stamp: stampOf(pairs, message),
  };
}

function withAnnotation(event: StoredEvent, name: string, value: string): StoredEvent {
  return {
    ...event,
    annotationCount: event.annotationCount + 1,
    annotations: Buffer.concat([event.annotations, encodeSymbol(name), encodeString(value)]),
  };
}

/** The event as it arrives through a publisher's address. */
export function withPublisher(event: StoredEvent, publisher: string): StoredEvent {
  return withAnnotation(event, publisherName, publisher);
}

/**
 * Reads the payload of a transfer into events, keeping their bytes.
 *
 * A batch's partition key may stand on the envelope only; its events then get it, so that receivers see it.
 *
 * @throws AmqpDecodeError when the bytes are malformed, the format is unknown or a batch holds no event.
 */
export function readPublication(payload: Buffer, format: number): Publication {
  if (format === 0) {
    const { event, partitionKey, stamp } = scanMessage(payload);
    if (event.bare.length === 0) throw new AmqpDecodeError('the message is empty', 0);
    return { partitionKey, events: [event], stamps: [stamp] };
  }
  if (format !== batchFormat) throw new AmqpDecodeError(`unknown message format 0x${format.toString(16)}`, 0);
  let envelopeKey: string | undefined;
  const messages: ScannedMessage[] = [];
  for (const section of scanSections(payload)) {
    if (section.code === sectionCode.messageAnnotations) {
      envelopeKey = keyOf(readMapPairs(payload, section.valueStart), payload);
    } else if (section.code === sectionCode.data) {
      messages.push(scanMessage(readBinary(payload, section.valueStart)));
    }
  }
  const [first] = messages;
  if (first === undefined) throw new AmqpDecodeError('the batch holds no event', 0);
  const partitionKey = envelopeKey ?? first.partitionKey;
  const events = messages.map((message) =>
    partitionKey !== undefined && message.partitionKey === undefined
      ? withAnnotation(message.event, partitionKeyName, partitionKey)
      : message.event,
  );
  return { partitionKey, events, stamps: messages.map((message) => message.stamp) };
}
