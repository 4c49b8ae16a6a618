import type { Responder } from '../run/batch.ts';
import type { StatementResult } from '../run/result.ts';
import type { Session } from '../run/session.ts';
import type { SqlError } from '../types/sql-error.ts';
import { ByteWriter } from './byte-writer.ts';
import { packetsOf, packetType } from './packet.ts';
import {
  commandCode,
  doneStatus,
  doneToken,
  rowWriter,
  writeColumns,
  writeDatabase,
  writeDone,
  writeError,
  writeInfo,
} from './tokens.ts';

/** Where packets go: `send` waits while the client does not read (back-pressure). */
export interface PacketSink {
  send(bytes: Buffer): Promise<void>;
}

const flushAt = 32_768;

/** One reply message, streamed in packets as it grows. */
export class Reply implements Responder {
  readonly out = new ByteWriter();
  readonly #sink: PacketSink;
  readonly #packetSize: number;
  readonly #session: Session;
  readonly #signal: AbortSignal;
  #packetId = 1;
  failed = false;
  /** Statements inside an RPC end with DONEINPROC, those of a batch with DONE. */
  inProcedure = false;
  /** Fault: close the connection after this many rows. */
  dropAfterRows: number | undefined;
  onDrop: () => void = () => undefined;

  constructor(sink: PacketSink, packetSize: number, session: Session, signal: AbortSignal) {
    this.#sink = sink;
    this.#packetSize = packetSize;
    this.#session = session;
    this.#signal = signal;
  }

  async #flush(): Promise<void> {
    // Whole packets only: the rest waits for more, or for the end of the message.
    const room = this.#packetSize - 8;
    const size = Math.floor((this.out.length - 1) / room) * room;
    if (size <= 0) return;
    const { bytes, nextId } = packetsOf(packetType.reply, this.out.take(size), this.#packetSize, false, this.#packetId);
    this.#packetId = nextId;
    await this.#sink.send(bytes);
  }

  async result(result: StatementResult): Promise<void> {
    const { out } = this;
    const token = this.inProcedure ? doneToken.inProc : doneToken.done;
    const { columns, rows, count, kind } = result;
    if (columns !== undefined && rows !== undefined) {
      writeColumns(out, columns);
      const write = rowWriter(columns);
      let sent = 0;
      for (const values of rows) {
        write(out, values);
        sent += 1;
        if (this.dropAfterRows !== undefined && sent > this.dropAfterRows) {
          const { bytes } = packetsOf(packetType.reply, out.take(), this.#packetSize, false, this.#packetId);
          await this.#sink.send(bytes);
          this.onDrop();
        }
        if (out.length > flushAt) {
          this.#signal.throwIfAborted();
          await this.#flush();
        }
      }
    }
    const counted = count !== undefined && !this.#session.noCount;
    writeDone(
      out,
      token,
      doneStatus.more | (counted ? doneStatus.count : 0),
      commandCode[kind] ?? 0,
      counted ? count : 0,
    );
  }

  info(message: string, number: number, severity: number, state: number, line: number): void {
    writeInfo(this.out, number, severity, state, message, line);
  }

  error(error: SqlError): void {
    this.failed = true;
    writeError(this.out, error);
  }

  databaseChanged(name: string): void {
    writeDatabase(this.out, name, name);
    writeInfo(this.out, 5701, 0, 2, `Changed database context to '${name}'.`);
  }

  /** Ends the message with its last DONE. */
  async end(token: number = doneToken.done, status = 0): Promise<void> {
    writeDone(this.out, token, status | (this.failed ? doneStatus.error : 0));
    const { bytes } = packetsOf(packetType.reply, this.out.take(), this.#packetSize, true, this.#packetId);
    await this.#sink.send(bytes);
  }
}
