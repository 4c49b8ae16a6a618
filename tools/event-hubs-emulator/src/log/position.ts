/** Where a receiver wants to start. `inclusive` is `>=`, otherwise `>`. */
export type StartPosition =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'sequence'; readonly sequence: number; readonly inclusive: boolean }
  | { readonly kind: 'offset'; readonly offset: number; readonly inclusive: boolean }
  | { readonly kind: 'time'; readonly unixMs: number; readonly inclusive: boolean };

/** Thrown when a position lies behind the last event, as after a log was wiped while checkpoints were kept. */
export class PositionPastEndError extends Error {
  readonly what: 'sequence number' | 'offset';
  readonly supplied: number;
  readonly last: number;

  constructor(what: 'sequence number' | 'offset', supplied: number, last: number) {
    super(`The supplied ${what} '${supplied}' is invalid. The last ${what} in the system is '${last}'`);
    this.name = 'PositionPastEndError';
    this.what = what;
    this.supplied = supplied;
    this.last = last;
  }
}

/** What is known of a partition: numbers are -1 and time 0 while nothing was ever published. */
export interface PartitionInfo {
  readonly beginSequence: number;
  readonly lastSequence: number;
  readonly lastOffset: number;
  readonly lastEnqueuedMs: number;
  readonly isEmpty: boolean;
}

/** @throws PositionPastEndError when the position names an event that does not exist yet. */
export function checkPosition(position: StartPosition, info: PartitionInfo): void {
  // The very next event may be asked for by number (`>=`), anything further cannot be meant.
  if (position.kind === 'sequence') {
    const bound = position.inclusive ? info.lastSequence + 1 : info.lastSequence;
    if (position.sequence > bound) {
      throw new PositionPastEndError('sequence number', position.sequence, info.lastSequence);
    }
  }
  if (position.kind === 'offset' && position.offset > info.lastOffset) {
    throw new PositionPastEndError('offset', position.offset, info.lastOffset);
  }
}
