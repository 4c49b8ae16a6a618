import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { ProtocolError } from './byte-reader.ts';
import { packetsOf, packetType } from './packet.ts';

export interface Certificate {
  /** PEM texts. */
  readonly key: string;
  readonly cert: string;
}

/**
 * The transport below TLS-in-TDS (MS-TDS 2.2.6.5, 3.2.5): handshake records travel inside PRELOGIN packets, everything
 * after the handshake travels bare. The client's first bare record (its LOGIN7) marks the change for both directions: the
 * server has nothing to say before it.
 */
class HandshakeTransport extends Duplex {
  readonly #socket: Socket;
  #inbound: Buffer = Buffer.alloc(0);
  #bare = false;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  /** Bytes that arrived together with the client's PRELOGIN. */
  #receive(chunk: Buffer): void {
    if (this.#bare) {
      if (!this.push(chunk)) this.#socket.pause();
      return;
    }
    this.#inbound = Buffer.concat([this.#inbound, chunk]);
    while (this.#inbound.length >= 8) {
      if (this.#inbound[0] !== packetType.prelogin) {
        this.#bare = true;
        this.push(this.#inbound);
        this.#inbound = Buffer.alloc(0);
        return;
      }
      const length = this.#inbound.readUInt16BE(2);
      if (length < 8) {
        this.destroy(new ProtocolError(`a packet cannot have ${length} bytes`));
        return;
      }
      if (this.#inbound.length < length) return;
      this.push(this.#inbound.subarray(8, length));
      this.#inbound = this.#inbound.subarray(length);
    }
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    const bytes = this.#bare ? chunk : packetsOf(packetType.prelogin, chunk, 4096, true, 1).bytes;
    this.#socket.write(bytes, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

/** First byte of a TLS handshake record: the client wants TLS before anything of TDS (encrypt: strict). */
export const tlsHandshake = 0x16;

/** Puts TLS over a socket before PRELOGIN, as TDS 8.0 does (MS-TDS 3.2.5, ALPN `tds/8.0`); `received` is what came already. */
export function secureFirst(socket: Socket, received: Buffer, certificate: Certificate): TLSSocket {
  socket.removeAllListeners('data');
  socket.pause();
  socket.unshift(received);
  const secureContext = createSecureContext(certificate);
  return new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['tds/8.0'] });
}

/** Puts TLS (at most 1.2: in TDS 7.x the handshake ends before LOGIN7) over a socket after PRELOGIN. */
export function secureInTds(socket: Socket, certificate: Certificate): TLSSocket {
  socket.removeAllListeners('data');
  const context = createSecureContext({ ...certificate, maxVersion: 'TLSv1.2' });
  return new TLSSocket(new HandshakeTransport(socket), { isServer: true, secureContext: context });
}
