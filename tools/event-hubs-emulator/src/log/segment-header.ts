import { crc32 } from 'node:zlib';

/** Where a partition stood when a segment was begun; with older segments deleted it is all that is known of them. */
export interface SegmentStart {
  readonly baseSequence: number;
  readonly basePosition: number;
  /** Offset and time of the last event before this segment; -1 and 0 when there was none. */
  readonly lastOffset: number;
  readonly lastEnqueuedMs: number;
}

export const segmentHeaderBytes = 48;
const magic = 'XVAEHL01';

export function encodeSegmentHeader(start: SegmentStart): Buffer {
  const bytes = Buffer.alloc(segmentHeaderBytes);
  bytes.write(magic, 0, 'ascii');
  bytes.writeBigInt64BE(BigInt(start.baseSequence), 8);
  bytes.writeBigInt64BE(BigInt(start.basePosition), 16);
  bytes.writeBigInt64BE(BigInt(start.lastOffset), 24);
  bytes.writeBigInt64BE(BigInt(start.lastEnqueuedMs), 32);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 40)), 40);
  return bytes;
}

/** The header of a segment, or undefined when it is incomplete or its checksum fails. */
export function readSegmentHeader(bytes: Buffer): SegmentStart | undefined {
  if (bytes.length < segmentHeaderBytes || bytes.toString('ascii', 0, 8) !== magic) return undefined;
  if (crc32(bytes.subarray(0, 40)) !== bytes.readUInt32BE(40)) return undefined;
  return {
    baseSequence: Number(bytes.readBigInt64BE(8)),
    basePosition: Number(bytes.readBigInt64BE(16)),
    lastOffset: Number(bytes.readBigInt64BE(24)),
    lastEnqueuedMs: Number(bytes.readBigInt64BE(32)),
  };
}

/** Segments sort by name: the stream position of their first record, in 20 digits. */
export function segmentName(basePosition: number): string {
  return `${String(basePosition).padStart(20, '0')}.log`;
}
