import { ProtocolError } from './byte-reader.ts';

/** Packet types (MS-TDS 2.2.3.1.1). */
export const packetType = {
  batch: 0x01,
  rpc: 0x03,
  reply: 0x04,
  attention: 0x06,
  bulk: 0x07,
  transaction: 0x0e,
  login: 0x10,
  prelogin: 0x12,
} as const;

/** Status bits (MS-TDS 2.2.3.1.2). */
export const packetStatus = { endOfMessage: 0x01, ignore: 0x02, reset: 0x08, resetKeepTransaction: 0x10 } as const;

const headerSize = 8;
const maxPacket = 32_767;
const maxMessage = 256 * 1024 * 1024;

export interface Message {
  readonly type: number;
  /** The client cancelled the message before it was complete. */
  readonly ignored: boolean;
  readonly reset: boolean;
  readonly resetKeepsTransaction: boolean;
  readonly payload: Buffer;
}

/** Splits one message into packets (header: type, status, length BE, spid BE, packet id, window). */
export function packetsOf(
  type: number,
  payload: Buffer,
  packetSize: number,
  last: boolean,
  firstId: number,
): { readonly bytes: Buffer; readonly nextId: number } {
  const room = packetSize - headerSize;
  const count = Math.max(1, Math.ceil(payload.length / room));
  const bytes = Buffer.allocUnsafe(payload.length + count * headerSize);
  let from = 0;
  let to = 0;
  let id = firstId;
  for (let index = 0; index < count; index += 1) {
    const size = Math.min(room, payload.length - from);
    bytes[to] = type;
    bytes[to + 1] = last && index === count - 1 ? packetStatus.endOfMessage : 0;
    bytes.writeUInt16BE(size + headerSize, to + 2);
    bytes.writeUInt16BE(0, to + 4);
    bytes[to + 6] = id;
    bytes[to + 7] = 0;
    payload.copy(bytes, to + headerSize, from, from + size);
    id = (id + 1) & 0xff;
    from += size;
    to += size + headerSize;
  }
  return { bytes, nextId: id };
}

/** Puts a byte stream together into messages. Feed it chunks; it gives each message when its last packet is in. */
export class MessageAssembler {
  #pending: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #size = 0;
  #first: { readonly type: number; readonly status: number } | undefined;

  /** @throws ProtocolError for lengths that no packet can have and for messages over 256 MB */
  feed(chunk: Buffer): Message[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const messages: Message[] = [];
    let at = 0;
    while (this.#pending.length - at >= headerSize) {
      const length = this.#pending.readUInt16BE(at + 2);
      if (length < headerSize || length > maxPacket) throw new ProtocolError(`a packet cannot have ${length} bytes`);
      if (this.#pending.length - at < length) break;
      const type = this.#pending.readUInt8(at);
      const status = this.#pending.readUInt8(at + 1);
      this.#first ??= { type, status };
      this.#parts.push(this.#pending.subarray(at + headerSize, at + length));
      this.#size += length;
      if (this.#size > maxMessage) throw new ProtocolError(`a message over ${maxMessage} bytes`);
      at += length;
      if ((status & packetStatus.endOfMessage) !== 0) messages.push(this.#complete(type, status));
    }
    this.#pending = at === 0 ? this.#pending : this.#pending.subarray(at);
    return messages;
  }

  #complete(type: number, status: number): Message {
    const first = this.#first?.status ?? status;
    const payload = this.#parts.length === 1 ? (this.#parts[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#size = 0;
    this.#first = undefined;
    return {
      type,
      ignored: (status & packetStatus.ignore) !== 0,
      reset: (first & (packetStatus.reset | packetStatus.resetKeepTransaction)) !== 0,
      resetKeepsTransaction: (first & packetStatus.resetKeepTransaction) !== 0,
      payload: Buffer.from(payload),
    };
  }
}
