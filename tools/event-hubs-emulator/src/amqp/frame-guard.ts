import { AmqpDecodeError, descriptorCode, skipValue } from '../events/encoding.ts';

/** Thrown when a peer breaks the protocol in a way that ends the connection; `condition` goes out with its close frame. */
export class ProtocolViolation extends Error {
  readonly condition: string;

  constructor(condition: string, description: string) {
    super(description);
    this.name = 'ProtocolViolation';
    this.condition = condition;
  }
}

/** Thrown when the peer speaks HTTP, in which it can be told so. */
export class SpokeHttpError extends ProtocolViolation {}

export const framingError = 'amqp:connection:framing-error';
const headerBytes = 8;
const frameHeadBytes = 8;
const frameType = { amqp: 0, sasl: 1 } as const;
/** Descriptors of performatives (OASIS AMQP 1.0, part 2, section 2.7) and of SASL frames (part 5, section 5.3.3). */
const performatives: Readonly<Record<number, readonly [first: number, last: number]>> = {
  [frameType.amqp]: [0x10, 0x18],
  [frameType.sasl]: [0x40, 0x44],
};

/** What speaks to an AMQP port without speaking AMQP. */
function foreign(bytes: Buffer): ProtocolViolation {
  const start = bytes.toString('latin1', 0, Math.min(bytes.length, headerBytes));
  if (/^(GET|POST|PUT|HEAD|CONN|OPTI)/.test(start)) {
    const text = 'HTTP was spoken to the AMQP port: AMQP over WebSockets is not served, use plain AMQP';
    return new SpokeHttpError(framingError, text);
  }
  if (bytes[0] === 0x16 && bytes[1] === 0x03) {
    const text =
      'TLS was spoken to the AMQP port: it is not served, use UseDevelopmentEmulator=true in the connection string';
    return new ProtocolViolation(framingError, text);
  }
  const header = bytes.subarray(0, headerBytes).toString('hex');
  return new ProtocolViolation(framingError, `not an AMQP 1.0 header: ${header}`);
}

/**
 * Stands before the AMQP library: only protocol headers and whole, well-formed frames within the size limit get past it,
 * so that no count, size or nesting that a peer makes up costs memory or time beyond its own bytes.
 */
export class FrameGuard {
  readonly #maxFrameBytes: number;
  #pending: Buffer = Buffer.alloc(0);
  #headers = 0;
  /** Whether the peer began with the SASL layer and has not yet left it. */
  #inSasl = false;

  readonly #isSaslDone: () => boolean;
  #isHeld = false;

  /** `isSaslDone` tells whether the library has ended the SASL layer; it takes a turn of the event loop for that. */
  constructor(maxFrameBytes: number, isSaslDone: () => boolean) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#isSaslDone = isSaslDone;
  }

  /** Whether bytes of a client that does not wait for SASL's outcome are held back: `push` nothing to let them go. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Whether the next frames are SASL's. */
  get inSasl(): boolean {
    return this.#inSasl;
  }

  get sawHeader(): boolean {
    return this.#headers > 0;
  }

  /** The bytes, of this chunk and of what was left before, that may be read now. @throws ProtocolViolation */
  push(chunk: Buffer): Buffer {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    let at = 0;
    for (;;) {
      const next = this.#one(bytes, at);
      if (next === at) break;
      at = next;
    }
    this.#pending = bytes.subarray(at);
    return bytes.subarray(0, at);
  }

  /** The position after the header or frame at `at`; `at` itself while it is not whole. */
  #one(bytes: Buffer, at: number): number {
    const left = bytes.length - at;
    if (left < 4) {
      if (this.#headers === 0 && left > 0 && !'AMQP'.startsWith(bytes.toString('latin1', at))) {
        throw foreign(bytes.subarray(at));
      }
      return at;
    }
    if (bytes.toString('latin1', at, at + 4) === 'AMQP') return left < headerBytes ? at : this.#header(bytes, at);
    if (this.#headers === 0) throw foreign(bytes.subarray(at));
    const size = bytes.readUInt32BE(at);
    if (size < frameHeadBytes || size > this.#maxFrameBytes) {
      throw new ProtocolViolation(framingError, `a frame of ${size} bytes is not within 8 and ${this.#maxFrameBytes}`);
    }
    if (left < size) return at;
    this.#frame(bytes.subarray(at, at + size));
    return at + size;
  }

  #header(bytes: Buffer, at: number): number {
    const [protocol = -1, ...version] = bytes.subarray(at + 4, at + headerBytes);
    const isFirst = this.#headers === 0;
    const mayCome = protocol === 3 ? isFirst : protocol === 0 && (isFirst || this.#inSasl);
    if (!mayCome || version.join('.') !== '1.0.0') {
      throw foreign(bytes.subarray(at));
    }
    this.#isHeld = this.#inSasl && !this.#isSaslDone();
    if (this.#isHeld) return at;
    this.#headers += 1;
    this.#inSasl = protocol === 3;
    return at + headerBytes;
  }

  #frame(frame: Buffer): void {
    const dataStart = frame.readUInt8(4) * 4;
    if (dataStart < frameHeadBytes || dataStart > frame.length) {
      throw new ProtocolViolation(framingError, `a data offset of ${dataStart} bytes in a frame of ${frame.length}`);
    }
    const type = frame.readUInt8(5);
    if (type !== (this.#inSasl ? frameType.sasl : frameType.amqp)) {
      throw new ProtocolViolation(framingError, `a frame of type ${type} where ${this.#inSasl ? 1 : 0} was due`);
    }
    // A frame without a body keeps the connection alive.
    if (dataStart === frame.length) return;
    try {
      this.#performative(frame, dataStart, type);
    } catch (error) {
      if (!(error instanceof AmqpDecodeError)) throw error;
      throw new ProtocolViolation('amqp:decode-error', `a frame's performative: ${error.message}`);
    }
  }

  #performative(frame: Buffer, at: number, type: number): void {
    if (frame.readUInt8(at) !== 0) throw new AmqpDecodeError('not a described value', at);
    const valueStart = skipValue(frame, at + 1);
    const code = descriptorCode(frame, at + 1);
    const [first, last] = performatives[type] ?? [1, 0];
    if (code < first || code > last) throw new AmqpDecodeError(`unknown performative 0x${code.toString(16)}`, at);
    skipValue(frame, valueStart);
    const constructor = frame[valueStart] ?? 0;
    if (![0x45, 0xc0, 0xd0].includes(constructor)) throw new AmqpDecodeError('its fields are no list', valueStart);
  }
}
