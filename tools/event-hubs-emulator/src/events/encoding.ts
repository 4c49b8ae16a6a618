/**
 * The few AMQP 1.0 encodings that the emulator needs at the level of bytes (OASIS AMQP 1.0, part 1, sections 1.2 and
 * 1.6). Events are stored and delivered as the bytes that the client sent: decoding and re-encoding would lose types.
 */

/** Thrown when bytes are not well-formed AMQP; `position` is where in the buffer. */
export class AmqpDecodeError extends Error {
  readonly position: number;

  constructor(message: string, position: number) {
    super(`${message} at byte ${position}`);
    this.name = 'AmqpDecodeError';
    this.position = position;
  }
}

/** Descriptor codes of message sections (OASIS AMQP 1.0, part 3, section 3.2). */
export const sectionCode = {
  header: 0x70,
  deliveryAnnotations: 0x71,
  messageAnnotations: 0x72,
  properties: 0x73,
  applicationProperties: 0x74,
  data: 0x75,
  sequence: 0x76,
  value: 0x77,
  footer: 0x78,
} as const;

/** One section of a message: `[start, end)` includes the descriptor, `[valueStart, end)` is the value alone. */
export interface Section {
  readonly code: number;
  readonly start: number;
  readonly valueStart: number;
  readonly end: number;
}

/** Width of a value's data by the upper half of its constructor; other categories tell their size themselves. */
const fixedWidths: Readonly<Record<number, number>> = { 4: 0, 5: 1, 6: 2, 7: 4, 8: 8, 9: 16 };
const maxNesting = 64;
/** Items without width cost no bytes, so that only a limit of their own bounds them. */
const maxEmptyItems = 1024;

function need(buffer: Buffer, at: number, bytes: number): void {
  if (at + bytes > buffer.length) throw new AmqpDecodeError(`needs ${bytes} more bytes`, at);
}

/**
 * The position after the value that starts at `at` (a constructor, described or not, and its data). Looks into lists,
 * maps and arrays: what it lets pass can be decoded without surprise, however hostile the sender.
 *
 * @throws AmqpDecodeError
 */
export function skipValue(buffer: Buffer, at: number, depth = 0): number {
  if (depth > maxNesting) throw new AmqpDecodeError('nested too deeply', at);
  need(buffer, at, 1);
  const constructor = buffer.readUInt8(at);
  if (constructor === 0x00) {
    return skipValue(buffer, skipValue(buffer, at + 1, depth + 1), depth + 1);
  }
  return skipData(buffer, constructor, at + 1, depth);
}

/** Skips the data that a constructor announces. */
function skipData(buffer: Buffer, constructor: number, body: number, depth: number): number {
  const category = constructor >>> 4;
  const width = fixedWidths[category];
  if (width !== undefined) {
    need(buffer, body, width);
    return body + width;
  }
  if (category < 0xa) throw new AmqpDecodeError(`unknown constructor 0x${constructor.toString(16)}`, body - 1);
  const sizeBytes = category === 0xa || category === 0xc || category === 0xe ? 1 : 4;
  need(buffer, body, sizeBytes);
  const size = sizeBytes === 1 ? buffer.readUInt8(body) : buffer.readUInt32BE(body);
  const start = body + sizeBytes;
  need(buffer, start, size);
  const end = start + size;
  if (category >= 0xc) checkItems(buffer.subarray(0, end), constructor, start, sizeBytes, depth);
  return end;
}

/** Checks that a compound's or array's items fill it exactly; `buffer` ends where it does. */
function checkItems(buffer: Buffer, constructor: number, at: number, countBytes: number, depth: number): void {
  need(buffer, at, countBytes);
  const count = countBytes === 1 ? buffer.readUInt8(at) : buffer.readUInt32BE(at);
  let position = at + countBytes;
  const isArray = constructor >>> 4 >= 0xe;
  const left = buffer.length - position;
  if (isArray) {
    let itemConstructor = 0;
    for (let nesting = depth; itemConstructor === 0; nesting += 1) {
      need(buffer, position, 1);
      itemConstructor = buffer.readUInt8(position);
      position = itemConstructor === 0 ? skipValue(buffer, position + 1, nesting + 1) : position + 1;
      if (nesting > maxNesting) throw new AmqpDecodeError('nested too deeply', at);
    }
    if (count > (itemConstructor >>> 4 === 4 ? maxEmptyItems : left)) {
      throw new AmqpDecodeError(`an array of ${left} bytes cannot hold ${count} items`, at);
    }
    for (let index = 0; index < count; index += 1) position = skipData(buffer, itemConstructor, position, depth + 1);
  } else {
    const isMap = (constructor & 1) === 1;
    if (isMap && count % 2 !== 0) throw new AmqpDecodeError('a map needs an even number of items', at);
    if (count > left) throw new AmqpDecodeError(`${left} bytes cannot hold ${count} items`, at);
    for (let index = 0; index < count; index += 1) position = skipValue(buffer, position, depth + 1);
  }
  if (position !== buffer.length) throw new AmqpDecodeError('items do not fill what holds them', position);
}

/** @throws AmqpDecodeError when the descriptor is no number */
export function descriptorCode(buffer: Buffer, at: number): number {
  const constructor = buffer.readUInt8(at);
  if (constructor === 0x53) return buffer.readUInt8(at + 1);
  if (constructor === 0x80) return Number(buffer.readBigUInt64BE(at + 1));
  throw new AmqpDecodeError('a message section needs a numeric descriptor', at);
}

/** All sections of a message, in the order in which they stand. */
export function scanSections(buffer: Buffer): readonly Section[] {
  const sections: Section[] = [];
  let at = 0;
  while (at < buffer.length) {
    if (buffer.readUInt8(at) !== 0x00) throw new AmqpDecodeError('a message section must be a described value', at);
    const valueStart = skipValue(buffer, at + 1);
    const code = descriptorCode(buffer, at + 1);
    if (code < sectionCode.header || code > sectionCode.footer) {
      throw new AmqpDecodeError(`unknown message section 0x${code.toString(16)}`, at);
    }
    const end = skipValue(buffer, valueStart);
    sections.push({ code, start: at, valueStart, end });
    at = end;
  }
  return sections;
}

/** The bytes of a binary value (`vbin8`, `vbin32`). */
export function readBinary(buffer: Buffer, at: number): Buffer {
  const constructor = buffer.readUInt8(at);
  const end = skipValue(buffer, at);
  if (constructor === 0xa0) return buffer.subarray(at + 2, end);
  if (constructor === 0xb0) return buffer.subarray(at + 5, end);
  throw new AmqpDecodeError('expected binary', at);
}

/** The text of a string or symbol, undefined for any other type. */
export function readText(buffer: Buffer, at: number): string | undefined {
  const constructor = buffer.readUInt8(at);
  const end = skipValue(buffer, at);
  if (constructor === 0xa1 || constructor === 0xa3) return buffer.toString('utf8', at + 2, end);
  if (constructor === 0xb1 || constructor === 0xb3) return buffer.toString('utf8', at + 5, end);
  return undefined;
}

/** The number of an integer of any of AMQP's widths, undefined for any other type or beyond 2^53. */
export function readInteger(buffer: Buffer, at: number): number | undefined {
  skipValue(buffer, at);
  switch (buffer.readUInt8(at)) {
    case 0x43:
    case 0x44:
      return 0;
    case 0x50:
    case 0x52:
    case 0x53:
      return buffer.readUInt8(at + 1);
    case 0x51:
    case 0x54:
    case 0x55:
      return buffer.readInt8(at + 1);
    case 0x60:
      return buffer.readUInt16BE(at + 1);
    case 0x61:
      return buffer.readInt16BE(at + 1);
    case 0x70:
      return buffer.readUInt32BE(at + 1);
    case 0x71:
      return buffer.readInt32BE(at + 1);
    case 0x80:
      return safe(buffer.readBigUInt64BE(at + 1));
    case 0x81:
      return safe(buffer.readBigInt64BE(at + 1));
    default:
      return undefined;
  }
}

function safe(value: bigint): number | undefined {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** One entry of an annotations map: its key and the raw bytes of key and value. */
export interface RawPair {
  readonly key: string | undefined;
  readonly valueStart: number;
  readonly bytes: Buffer;
}

/** The entries of a map value, undecoded. */
export function readMapPairs(buffer: Buffer, at: number): readonly RawPair[] {
  const constructor = buffer.readUInt8(at);
  const end = skipValue(buffer, at);
  if (constructor === 0x40) return [];
  if (constructor !== 0xc1 && constructor !== 0xd1) throw new AmqpDecodeError('expected a map', at);
  const wide = constructor === 0xd1;
  need(buffer, at + 1, wide ? 8 : 2);
  const count = wide ? buffer.readUInt32BE(at + 5) : buffer.readUInt8(at + 2);
  if (count % 2 !== 0) throw new AmqpDecodeError('a map needs an even number of items', at);
  const pairs: RawPair[] = [];
  let position = at + (wide ? 9 : 3);
  for (let index = 0; index < count; index += 2) {
    const valueStart = skipValue(buffer, position);
    const next = skipValue(buffer, valueStart);
    if (next > end) throw new AmqpDecodeError('map items exceed the map', position);
    pairs.push({ key: readText(buffer, position), valueStart, bytes: buffer.subarray(position, next) });
    position = next;
  }
  return pairs;
}

/** A symbol (`sym8`; the emulator's own keys are short). */
export function encodeSymbol(text: string): Buffer {
  const bytes = Buffer.from(text, 'ascii');
  return Buffer.concat([Buffer.from([0xa3, bytes.length]), bytes]);
}

/** A string, `str8` or `str32` by length. */
export function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length < 256) return Buffer.concat([Buffer.from([0xa1, bytes.length]), bytes]);
  const head = Buffer.alloc(5);
  head.writeUInt8(0xb1, 0);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** A signed 64-bit integer; exact up to 2^53. */
export function encodeLong(value: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt8(0x81, 0);
  bytes.writeBigInt64BE(BigInt(value), 1);
  return bytes;
}

/** A timestamp from Unix milliseconds. */
export function encodeTimestamp(unixMs: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt8(0x83, 0);
  bytes.writeBigInt64BE(BigInt(unixMs), 1);
  return bytes;
}

/** A section that holds one map, from the raw bytes of its entries. */
export function encodeMapSection(code: number, pairCount: number, pairs: readonly Buffer[]): Buffer {
  const size = pairs.reduce((sum, pair) => sum + pair.length, 4);
  const head = Buffer.alloc(12);
  head.writeUInt8(0x00, 0);
  head.writeUInt8(0x53, 1);
  head.writeUInt8(code, 2);
  head.writeUInt8(0xd1, 3);
  head.writeUInt32BE(size, 4);
  head.writeUInt32BE(pairCount * 2, 8);
  return Buffer.concat([head, ...pairs]);
}
