/**
 * One event as the log keeps it: the sections that the producer sent, as raw bytes.
 *
 * `annotations` are the raw entries (key and value bytes, one after the other) of the producer's message annotations,
 * without those that the service sets itself. `bare` runs from properties to footer and is never touched.
 */
export interface StoredEvent {
  readonly header: Buffer;
  readonly annotationCount: number;
  readonly annotations: Buffer;
  readonly bare: Buffer;
}

/** An event at its place in a partition. `offset` grows strictly but is opaque: clients may only compare and return it. */
export interface PlacedEvent extends StoredEvent {
  readonly sequence: number;
  readonly offset: number;
  readonly enqueuedMs: number;
}
