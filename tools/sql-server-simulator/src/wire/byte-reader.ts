/** Thrown when a client's message does not follow the protocol; the connection is closed. */
export class ProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtocolError';
  }
}

/** Reads a message; every read past its end is a ProtocolError. */
export class ByteReader {
  readonly #buffer: Buffer;
  at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get left(): number {
    return this.#buffer.length - this.at;
  }

  #take(count: number): number {
    if (count < 0 || count > this.left) throw new ProtocolError(`message ends ${count - this.left} bytes too early`);
    const { at } = this;
    this.at += count;
    return at;
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }
  u16(): number {
    return this.#buffer.readUInt16LE(this.#take(2));
  }
  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }
  i32(): number {
    return this.#buffer.readInt32LE(this.#take(4));
  }
  u64(): bigint {
    return this.#buffer.readBigUInt64LE(this.#take(8));
  }
  bytes(count: number): Buffer {
    const at = this.#take(count);
    return this.#buffer.subarray(at, at + count);
  }
  /** Little-endian unsigned integer. */
  uint(width: number): bigint {
    return BigInt(`0x0${Buffer.from(this.bytes(width)).reverse().toString('hex')}`);
  }
  ucs2(characters: number): string {
    return this.bytes(characters * 2).toString('utf16le');
  }
  shortText(): string {
    return this.ucs2(this.u8());
  }
  longText(): string {
    return this.ucs2(this.u16());
  }
}
