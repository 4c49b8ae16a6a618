/** A growing little-endian buffer. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafe(8192);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  #room(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    return at;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#buffer[at] = value & 0xff;
    return this;
  }

  u16(value: number): this {
    const at = this.#room(2);
    this.#buffer.writeUInt16LE(value & 0xffff, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#buffer.writeUInt32LE(value >>> 0, at);
    return this;
  }

  i32(value: number): this {
    const at = this.#room(4);
    this.#buffer.writeInt32LE(value, at);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#room(8);
    this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, value), at);
    return this;
  }

  /** Little-endian unsigned integer of `width` bytes. */
  uint(value: bigint, width: number): this {
    let at = this.#room(width);
    let rest = value;
    for (let count = 0; count < width; count += 1) {
      this.#buffer[at++] = Number(rest & 0xffn);
      rest >>= 8n;
    }
    return this;
  }

  f32(value: number): this {
    const at = this.#room(4);
    this.#buffer.writeFloatLE(value, at);
    return this;
  }

  f64(value: number): this {
    const at = this.#room(8);
    this.#buffer.writeDoubleLE(value, at);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#room(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  ucs2(text: string): this {
    const at = this.#room(text.length * 2);
    this.#buffer.write(text, at, 'utf16le');
    return this;
  }

  /** Text with a length byte in front (B_VARCHAR). */
  shortText(text: string): this {
    const cut = text.slice(0, 255);
    return this.u8(cut.length).ucs2(cut);
  }

  /** Text with a two-byte length in front (US_VARCHAR). */
  longText(text: string): this {
    const cut = text.slice(0, 65_535);
    return this.u16(cut.length).ucs2(cut);
  }

  /** Gives the bytes up to `count` and forgets them. */
  take(count = this.#length): Buffer {
    const taken = Buffer.from(this.#buffer.subarray(0, count));
    this.#buffer.copy(this.#buffer, 0, count, this.#length);
    this.#length -= count;
    return taken;
  }
}
