import type { ByteReader } from './byte-reader.ts';
import { ProtocolError } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';

/** ENCRYPTION values (MS-TDS 2.2.6.5). */
export const encryption = { off: 0, on: 1, notSupported: 2, required: 3 } as const;

/** Reads the client's ENCRYPTION option. @throws ProtocolError for a malformed PRELOGIN */
export function readPrelogin(payload: Buffer): number {
  for (let at = 0; at < payload.length; at += 5) {
    const token = payload[at];
    if (token === 0xff) break;
    if (at + 5 > payload.length) throw new ProtocolError('PRELOGIN without terminator');
    if (token !== 0x01) continue;
    const value = payload[payload.readUInt16BE(at + 1)];
    if (value === undefined) throw new ProtocolError('PRELOGIN option outside the message');
    return value & 0x0f;
  }
  return encryption.notSupported;
}

/** The server's PRELOGIN: VERSION, ENCRYPTION, INSTOPT, THREADID, MARS off. */
export function writePrelogin(encrypt: number): Buffer {
  const options: readonly (readonly [number, Buffer])[] = [
    [0x00, Buffer.from([16, 0, 0, 0, 0, 0])],
    [0x01, Buffer.from([encrypt])],
    [0x02, Buffer.from([0])],
    [0x03, Buffer.alloc(0)],
    [0x04, Buffer.from([0])],
  ];
  const head = Buffer.alloc(options.length * 5 + 1);
  let offset = head.length;
  options.forEach(([token, data], index) => {
    head[index * 5] = token;
    head.writeUInt16BE(offset, index * 5 + 1);
    head.writeUInt16BE(data.length, index * 5 + 3);
    offset += data.length;
  });
  head[head.length - 1] = 0xff;
  return Buffer.concat([head, ...options.map(([, data]) => data)]);
}

export interface Login {
  readonly packetSize: number;
  readonly host: string;
  readonly user: string;
  readonly password: string;
  readonly application: string;
  readonly database: string;
  /** The client asks for integrated (SSPI) or federated authentication. */
  readonly integrated: boolean;
}

/** Reads LOGIN7 (MS-TDS 2.2.6.4): 94 fixed bytes, then strings by offset and length. */
export function readLogin(payload: Buffer): Login {
  if (payload.length < 94) throw new ProtocolError('LOGIN7 is too short');
  const text = (at: number, scrambled = false): string => {
    const start = payload.readUInt16LE(at);
    const size = payload.readUInt16LE(at + 2) * 2;
    if (start + size > payload.length) throw new ProtocolError('LOGIN7 string outside the message');
    const bytes = Buffer.from(payload.subarray(start, start + size));
    // Password bytes: nibbles swapped, then XOR 0xA5.
    if (scrambled)
      for (const [index, byte] of bytes.entries()) bytes[index] = (((byte ^ 0xa5) << 4) | ((byte ^ 0xa5) >> 4)) & 0xff;
    return bytes.toString('utf16le');
  };
  return {
    packetSize: payload.readUInt32LE(8),
    integrated: ((payload[25] ?? 0) & 0x80) !== 0,
    host: text(36),
    user: text(40),
    password: text(44, true),
    application: text(48),
    database: text(68),
  };
}

/** Skips ALL_HEADERS in front of batches and RPCs (MS-TDS 2.2.5.3). */
export function skipHeaders(reader: ByteReader): void {
  const total = reader.u32();
  if (total < 4) throw new ProtocolError('ALL_HEADERS is too short');
  reader.bytes(total - 4);
}

export { ByteWriter };
