import { encodeLong, encodeMapSection, encodeString, encodeSymbol, encodeTimestamp, sectionCode } from './encoding.ts';
import type { PlacedEvent } from './stored-event.ts';

/** The state of a partition that a receiver may ask to see with each event. */
export interface PartitionMetrics {
  readonly lastSequence: number;
  readonly lastOffset: number;
  readonly lastEnqueuedMs: number;
}

const sequenceKey = encodeSymbol('x-opt-sequence-number');
const offsetKey = encodeSymbol('x-opt-offset');
const enqueuedKey = encodeSymbol('x-opt-enqueued-time');
const lastSequenceKey = encodeSymbol('last_enqueued_sequence_number');
const lastOffsetKey = encodeSymbol('last_enqueued_offset');
const lastEnqueuedKey = encodeSymbol('last_enqueued_time_utc');
const retrievedKey = encodeSymbol('runtime_info_retrieval_time_utc');

function metricsSection(metrics: PartitionMetrics, nowMs: number): Buffer {
  return encodeMapSection(sectionCode.deliveryAnnotations, 4, [
    lastSequenceKey,
    encodeLong(metrics.lastSequence),
    lastOffsetKey,
    encodeString(String(metrics.lastOffset)),
    lastEnqueuedKey,
    encodeTimestamp(metrics.lastEnqueuedMs),
    retrievedKey,
    encodeTimestamp(nowMs),
  ]);
}

/**
 * The message that a receiver gets: header, delivery annotations (only with `metrics`), the producer's annotations
 * followed by the service's, and the bare message byte for byte as it was sent.
 */
export function encodeDelivery(event: PlacedEvent, metrics: PartitionMetrics | undefined, nowMs: number): Buffer {
  const annotations = encodeMapSection(sectionCode.messageAnnotations, event.annotationCount + 3, [
    event.annotations,
    sequenceKey,
    encodeLong(event.sequence),
    offsetKey,
    encodeString(String(event.offset)),
    enqueuedKey,
    encodeTimestamp(event.enqueuedMs),
  ]);
  const delivery = metrics === undefined ? [] : [metricsSection(metrics, nowMs)];
  return Buffer.concat([event.header, ...delivery, annotations, event.bare]);
}
