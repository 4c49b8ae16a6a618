import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { FaultBoard, Transcript } from '@xva/emulator-kit';
import type { Database } from '../engine/database.ts';
import { Dropped, faultError, type FaultTarget, statementFaults } from '../faults.ts';
import { BatchRunner } from '../run/batch.ts';
import { pause } from '../run/pause.ts';
import { newFrame, Session } from '../run/session.ts';
import type { ParseCache } from '../sql/parser.ts';
import { loadBulk } from '../run/bulk.ts';
import { SqlError } from '../types/sql-error.ts';
import { readBulkLoad } from './bulk-load.ts';
import { ByteReader, ProtocolError } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { encryption, type Login, readLogin, readPrelogin, skipHeaders, writePrelogin } from './login.ts';
import { type Message, MessageAssembler, packetsOf, packetType } from './packet.ts';
import { PreparedStatements, runProcedure, textOfCall } from './procedures.ts';
import { type PacketSink, Reply } from './reply.ts';
import { readRpc } from './rpc.ts';
import { manageTransaction } from './transaction-manager.ts';
import { type Certificate, secureFirst, secureInTds, tlsHandshake } from './tls.ts';
import {
  doneStatus,
  doneToken,
  writeDone,
  writeError,
  writeLoginAck,
  writeResetAck,
  writeTransaction,
} from './tokens.ts';

/** What connections share. */
export interface ServerState {
  readonly databases: ReadonlyMap<string, Database>;
  readonly defaultDatabase: Database;
  readonly faults: FaultBoard;
  readonly transcript: Transcript;
  readonly cache: ParseCache;
  readonly certificate: Certificate | undefined;
  readonly authenticate: (user: string, password: string) => boolean;
  readonly sessions: Map<number, Session>;
  readonly nextSessionId: () => number;
  readonly now: () => number;
}

/** Why a running request was stopped from outside. */
class Cancelled extends Error {
  constructor() {
    super('cancelled by the client');
    this.name = 'Cancelled';
  }
}

/** One client: PRELOGIN, TLS, LOGIN7, then one request at a time; an attention may interrupt it. */
export class Connection implements PacketSink, FaultTarget {
  readonly #state: ServerState;
  readonly #raw: Socket;
  #socket: Socket;
  readonly #assembler = new MessageAssembler();
  readonly #queue: Message[] = [];
  readonly #prepared = new PreparedStatements();
  #pumping = false;
  #phase: 'prelogin' | 'login' | 'ready' | 'closed' = 'prelogin';
  #session: Session | undefined;
  #packetSize = 4096;
  #running: AbortController | undefined;
  #attention = false;
  #reply: Reply | undefined;

  constructor(socket: Socket, state: ServerState) {
    this.#state = state;
    this.#raw = socket;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#closed());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  #receive(chunk: Buffer): void {
    if (this.#phase === 'prelogin' && this.#socket === this.#raw && chunk[0] === tlsHandshake) {
      this.#beginStrict(chunk);
      return;
    }
    try {
      for (const message of this.#assembler.feed(chunk)) {
        if (message.type === packetType.attention) this.#onAttention();
        else this.#queue.push(message);
      }
    } catch {
      this.drop();
      return;
    }
    if (!this.#pumping) void this.#pump();
  }

  #beginStrict(chunk: Buffer): void {
    const { certificate } = this.#state;
    if (certificate === undefined) {
      this.drop();
      return;
    }
    this.#use(secureFirst(this.#raw, chunk, certificate));
  }

  /** Everything from now on goes through TLS. */
  #use(tls: TLSSocket): void {
    tls.on('error', () => this.drop());
    tls.on('data', (data: Buffer) => this.#receive(data));
    this.#socket = tls;
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    try {
      for (
        let message = this.#queue.shift();
        message !== undefined && this.#phase !== 'closed';
        message = this.#queue.shift()
      )
        await this.#handle(message);
    } catch (error) {
      if (!(error instanceof ProtocolError) && !(error instanceof Dropped))
        process.stderr.write(
          `sql-server-simulator: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
        );
      this.drop();
    } finally {
      this.#pumping = false;
      if (this.#phase === 'closed') this.#endSession();
    }
  }

  drop(): void {
    this.#phase = 'closed';
    this.#raw.destroy();
  }

  dropAfterRows(rows: number): void {
    if (this.#reply === undefined) return;
    this.#reply.dropAfterRows = rows;
    this.#reply.onDrop = () => {
      this.drop();
      throw new Dropped();
    };
  }

  async send(bytes: Buffer): Promise<void> {
    if (this.#phase === 'closed') throw new Dropped();
    if (this.#socket.write(bytes)) return;
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        this.#socket.off('drain', drained);
        this.#socket.off('close', closed);
      };
      const drained = (): void => {
        done();
        resolve();
      };
      const closed = (): void => {
        done();
        reject(new Dropped());
      };
      this.#socket.once('drain', drained);
      this.#socket.once('close', closed);
    });
  }

  async #sendMessage(payload: Buffer, type: number = packetType.reply): Promise<void> {
    await this.send(packetsOf(type, payload, this.#packetSize, true, 1).bytes);
  }

  #closed(): void {
    this.#phase = 'closed';
    this.#running?.abort(new Cancelled());
    if (!this.#pumping) this.#endSession();
  }

  #endSession(): void {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    session.onTransaction = () => undefined;
    session.end();
    this.#state.sessions.delete(session.id);
  }

  async #handle(message: Message): Promise<void> {
    switch (this.#phase) {
      case 'prelogin':
        if (message.type !== packetType.prelogin) throw new ProtocolError('PRELOGIN expected');
        return this.#onPrelogin(message);
      case 'login':
        if (message.type !== packetType.login) throw new ProtocolError('LOGIN7 expected');
        return this.#onLogin(readLogin(message.payload));
      case 'ready':
        return this.#onRequest(message);
      case 'closed':
    }
  }

  async #onPrelogin({ payload }: Message): Promise<void> {
    const wanted = readPrelogin(payload);
    const { certificate } = this.#state;
    const isStrict = this.#socket !== this.#raw;
    const secure =
      !isStrict && certificate !== undefined && (wanted === encryption.on || wanted === encryption.required);
    this.#phase = 'login';
    await this.#sendMessage(writePrelogin(secure ? encryption.on : encryption.notSupported));
    if (!secure) return;
    this.#use(secureInTds(this.#raw, certificate));
  }

  async #refuseLogin(error: SqlError): Promise<void> {
    const out = new ByteWriter();
    writeError(out, error);
    writeDone(out, doneToken.done, doneStatus.error);
    await this.#sendMessage(out.take());
    this.#phase = 'closed';
    this.#socket.end();
  }

  async #onLogin(login: Login): Promise<void> {
    const { faults, databases, defaultDatabase, transcript } = this.#state;
    const database = login.database === '' ? defaultDatabase : databases.get(login.database.toLowerCase());
    const action = faults.take('login', { login: login.user, database: login.database, host: login.host });
    if (action?.kind === 'latency') await pause(Number(action['ms'] ?? 100), new AbortController().signal);
    if (action?.kind === 'drop') throw new Dropped();
    const refused = action?.kind === 'error' ? faultError(action, 0) : this.#checkLogin(login, database);
    transcript.add({
      kind: 'login',
      login: login.user,
      database: login.database,
      application: login.application,
      error: refused?.number ?? 0,
    });
    if (refused !== undefined || database === undefined)
      return this.#refuseLogin(refused ?? new SqlError(4060, '', 11));
    const id = this.#state.nextSessionId();
    const session = new Session({
      id,
      login: login.user,
      host: login.host,
      application: login.application,
      databases,
      database,
      now: this.#state.now,
    });
    this.#session = session;
    this.#state.sessions.set(id, session);
    session.onTransaction = (event, descriptor) => {
      if (this.#reply !== undefined) writeTransaction(this.#reply.out, event, descriptor);
    };
    const packetSize = login.packetSize >= 512 && login.packetSize <= 32_767 ? login.packetSize : 4096;
    const out = new ByteWriter();
    writeLoginAck(out, database.name, packetSize);
    writeDone(out, doneToken.done, doneStatus.final);
    await this.#sendMessage(out.take());
    this.#packetSize = packetSize;
    this.#phase = 'ready';
  }

  #checkLogin(login: Login, database: Database | undefined): SqlError | undefined {
    if (login.integrated)
      return new SqlError(
        18_452,
        'Login failed. The simulator knows SQL logins only (no NTLM, Kerberos or Entra ID).',
        14,
      );
    if (!this.#state.authenticate(login.user, login.password))
      return new SqlError(18_456, `Login failed for user '${login.user}'.`, 14);
    if (database === undefined)
      return new SqlError(
        4060,
        `Cannot open database "${login.database}" requested by the login. The login failed.`,
        11,
      );
    return undefined;
  }

  #onAttention(): void {
    if (this.#phase !== 'ready') return;
    if (this.#running === undefined) {
      void this.#acknowledge().catch(() => this.drop());
      return;
    }
    this.#attention = true;
    this.#running.abort(new Cancelled());
  }

  /** The answer to an attention is a message of its own, after the end of the cancelled one. */
  async #acknowledge(): Promise<void> {
    const out = new ByteWriter();
    writeDone(out, doneToken.done, doneStatus.attention);
    await this.#sendMessage(out.take());
  }

  async #onRequest(message: Message): Promise<void> {
    const session = this.#session;
    if (session === undefined) throw new ProtocolError('no session');
    if (message.ignored) {
      const out = new ByteWriter();
      writeDone(out, doneToken.done, doneStatus.error);
      return this.#sendMessage(out.take());
    }
    const controller = new AbortController();
    this.#running = controller;
    const reply = new Reply(this, this.#packetSize, session, controller.signal);
    this.#reply = reply;
    const started = this.#state.now();
    let text = '';
    try {
      if (message.reset) {
        if (!message.resetKeepsTransaction) session.reset();
        this.#prepared.clear();
        reply.out.take();
        writeResetAck(reply.out);
      }
      text = await this.#dispatch(message, session, reply, controller.signal);
    } catch (error) {
      reply.failed = true;
      if (error instanceof SqlError) reply.error(error);
      else if (error instanceof Cancelled) {
        if (session.xactAbort) session.rollbackIfOpen();
      } else throw error;
    } finally {
      this.#state.transcript.add({
        kind: 'request',
        session: session.id,
        type: message.type,
        text: text.slice(0, 500),
        ms: this.#state.now() - started,
        error: reply.failed ? session.lastError : 0,
      });
    }
    await reply.end(message.type === packetType.rpc ? doneToken.proc : doneToken.done);
    this.#reply = undefined;
    this.#running = undefined;
    if (this.#attention) {
      this.#attention = false;
      await this.#acknowledge();
    }
  }

  async #dispatch(message: Message, session: Session, reply: Reply, signal: AbortSignal): Promise<string> {
    const reader = new ByteReader(message.payload);
    const runner = (text: string): BatchRunner =>
      new BatchRunner(
        session,
        reply,
        signal,
        this.#state.cache,
        statementFaults(this.#state.faults, session, text, this),
      );
    switch (message.type) {
      case packetType.batch: {
        skipHeaders(reader);
        const text = reader.bytes(reader.left).toString('utf16le');
        await runner(text).run(text, newFrame());
        return text;
      }
      case packetType.rpc: {
        skipHeaders(reader);
        reply.inProcedure = true;
        const call = readRpc(reader);
        const text = textOfCall(call, this.#prepared);
        await runProcedure(call, runner(text), reply, this.#prepared, session);
        return text;
      }
      case packetType.transaction:
        skipHeaders(reader);
        return manageTransaction(reader, session);
      case packetType.bulk: {
        const target = session.bulk;
        session.bulk = undefined;
        const rows = readBulkLoad(message.payload);
        const count = await session.atomically(newFrame(), signal, (context) =>
          loadBulk(target, rows, session, context),
        );
        await reply.result({ kind: 'insert', count });
        return 'bulk load';
      }
      default:
        throw new ProtocolError(`packet type 0x${message.type.toString(16)}`);
    }
  }
}
