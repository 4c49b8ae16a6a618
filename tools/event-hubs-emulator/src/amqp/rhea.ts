import type { Socket } from 'node:net';
import rhea from 'rhea';

/**
 * The one place that knows rhea (3.0.5), and its insides: whole-width frames, corked writes and raw payloads cannot be
 * had through its public interface. The tests with the official clients tell when another version breaks this.
 */

export interface AmqpError {
  readonly condition: string;
  readonly description: string;
}

/** A wrapped AMQP value, or a plain one whose type rhea chooses. */
export type AmqpValue = unknown;

export interface AmqpSession {
  readonly outgoing: {
    readonly next_delivery_id: number;
    readonly next_pending_delivery: number;
    available(): number;
    transfer_window(): number;
  };
}

interface Terminus {
  readonly address?: string | null;
  readonly filter?: Readonly<Record<string, unknown>> | null;
}

interface AmqpLink {
  readonly name: string;
  readonly session: AmqpSession;
  readonly source: Terminus | null;
  readonly target: Terminus | null;
  readonly properties: Readonly<Record<string, unknown>> | null | undefined;
  readonly desired_capabilities: string | readonly string[] | null | undefined;
  readonly credit: number;
  readonly local: {
    readonly attach: {
      snd_settle_mode: number;
      rcv_settle_mode: number;
      max_message_size: number;
      offered_capabilities: string | readonly string[];
      properties: Readonly<Record<string, unknown>>;
    };
  };
  set_source(source: Readonly<Record<string, unknown>>): void;
  set_target(target: Readonly<Record<string, unknown>>): void;
  close(error?: AmqpError): void;
}

/** The emulator's end of a link on which the client receives. */
export interface OutgoingLink extends AmqpLink {
  send(message: Buffer | Readonly<Record<string, unknown>>, tag?: Buffer, format?: number): { remote_settled: boolean };
  set_drained(drained: boolean): void;
}

/** The emulator's end of a link on which the client sends. */
export interface IncomingLink extends AmqpLink {
  add_credit(credit: number): void;
}

export interface IncomingDelivery {
  readonly id: number;
  settled: boolean;
  update(settled: boolean, state: unknown): void;
}

export interface LinkContext {
  readonly sender: OutgoingLink;
  readonly receiver: IncomingLink;
  readonly session: AmqpSession;
}

export interface MessageContext {
  readonly receiver: IncomingLink;
  readonly delivery: IncomingDelivery;
  readonly message: Buffer;
  readonly format: number;
}

/** A request to `$cbs` or `$management`, decoded. */
export interface RequestMessage {
  readonly message_id?: unknown;
  readonly reply_to?: string;
  readonly application_properties?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

interface Performative {
  readonly value: unknown[];
  readonly constructor: { readonly descriptor?: { readonly numeric: number } };
  handle_max?: number | null;
  message_format?: number | null;
}

interface Frame {
  readonly performative: Performative;
}

/** Named from this side: a `receiver` is the emulator's end of a link on which the client sends. */
type LinkEvent =
  | 'receiver_open'
  | 'receiver_close'
  | 'receiver_error'
  | 'sender_open'
  | 'sender_close'
  | 'sender_error'
  | 'sender_draining';
type ConnectionEvent = 'connection_close' | 'connection_error' | 'disconnected' | 'protocol_error' | 'error';

export interface AmqpConnection {
  readonly remote: { readonly open?: { readonly container_id?: string } };
  on(event: LinkEvent, listener: (context: LinkContext) => void): void;
  on(event: 'message', listener: (context: MessageContext) => void): void;
  on(event: 'session_close' | 'session_error', listener: (context: { readonly session: AmqpSession }) => void): void;
  on(event: ConnectionEvent, listener: (fault: unknown) => void): void;
  close(error?: AmqpError): void;
}

interface PrivateConnection extends AmqpConnection {
  accept(socket: Socket): void;
  _write_frame(channel?: number, performative?: Performative, payload?: Buffer): void;
  on_transfer(frame: Frame): void;
  on_flow(frame: Frame): void;
  heartbeat_in?: NodeJS.Timeout;
  heartbeat_out?: NodeJS.Timeout;
  abort_idle?: NodeJS.Timeout;
}

/** Field counts of the performatives by descriptor (OASIS AMQP 1.0, part 2, section 2.7). */
const fieldCounts: Readonly<Record<number, number>> = {
  0x10: 10,
  0x11: 8,
  0x12: 14,
  0x13: 11,
  0x14: 11,
  0x15: 6,
  0x16: 3,
  0x17: 1,
  0x18: 1,
};
const beginCode = 0x11;
/** Where the performatives carry an error: detach, end, close. */
const errorFields: Readonly<Record<number, number>> = { 0x16: 2, 0x17: 0, 0x18: 0 };
const errorFieldCount = 3;
const maxHandle = 255;
/** Stands for format 0, which rhea would decode on its own, losing the bytes. */
const rawFormat = 0xfffffffe;

const container = rhea.create_container({ id: 'event-hubs-emulator' });
// What no connection handles ends here instead of ending the process.
container.on('error', () => undefined);

/**
 * Speaks AMQP on an accepted socket. `onFlow` is called after every flow frame, whether for a link or the session.
 *
 * Every performative goes out with all of its fields, as the service sends them: azure-eventhub for Python reads
 * fields by position. Writes of one tick leave in one packet. Nothing is accepted automatically.
 */
export function acceptConnection(socket: Socket, onFlow: () => void): AmqpConnection {
  const connection = container.create_connection({
    container_id: 'event-hubs-emulator',
    max_frame_size: 65_536,
    channel_max: 4_999,
    idle_time_out: 240_000,
    reconnect: false,
    tcp_no_delay: true,
    receiver_options: { autoaccept: false, credit_window: 0 },
  } as never) as unknown as PrivateConnection;
  padAndCork(connection, socket);
  const onTransfer = connection.on_transfer.bind(connection);
  connection.on_transfer = (frame) => {
    frame.performative.message_format ||= rawFormat;
    onTransfer(frame);
  };
  const flow = connection.on_flow.bind(connection);
  connection.on_flow = (frame) => {
    flow(frame);
    onFlow();
  };
  // rhea's timers outlive a socket that is destroyed on this side.
  socket.on('close', () => {
    for (const timer of [connection.heartbeat_in, connection.heartbeat_out, connection.abort_idle]) clearTimeout(timer);
  });
  connection.accept(socket);
  return connection;
}

function padAndCork(connection: PrivateConnection, socket: Socket): void {
  const write = connection._write_frame.bind(connection);
  let corked = false;
  connection._write_frame = (channel, performative, payload) => {
    if (socket.destroyed) return;
    if (!corked) {
      corked = true;
      socket.cork();
      process.nextTick(() => {
        corked = false;
        socket.uncork();
      });
    }
    const code = performative?.constructor.descriptor?.numeric ?? -1;
    const fields = fieldCounts[code];
    if (performative !== undefined && fields !== undefined) {
      if (code === beginCode) performative.handle_max ??= maxHandle;
      performative.value.length = fields;
      padError(performative.value[errorFields[code] ?? -1]);
    }
    write(channel, performative, payload);
  };
}

/** An error as a list of all three fields (condition, description, info). */
function padError(error: unknown): void {
  const { value } = (error ?? {}) as { readonly value?: unknown };
  if (Array.isArray(value)) value.length = errorFieldCount;
}

/** The message format as the client sent it. */
export function formatOf(context: MessageContext): number {
  return context.format === rawFormat ? 0 : context.format;
}

export function decodeRequest(payload: Buffer): RequestMessage {
  return rhea.message.decode(payload) as unknown as RequestMessage;
}

/** Outcomes exist at run time but not in rhea's types. */
const outcomes = rhea.message as unknown as {
  accepted(): { described(): unknown };
  rejected(fields: { readonly error: AmqpError }): { described(): { readonly value: readonly unknown[] } };
};

export function accept(delivery: IncomingDelivery): void {
  delivery.update(true, outcomes.accepted().described());
}

export function reject(delivery: IncomingDelivery, error: AmqpError): void {
  const outcome = outcomes.rejected({ error }).described();
  padError(outcome.value[0]);
  delivery.update(true, outcome);
}

/** Values with a type of their own, for replies. */
export const typed = {
  short: (value: number): AmqpValue => rhea.types.wrap_short(value),
  int: (value: number): AmqpValue => rhea.types.wrap_int(value),
  long: (value: number): AmqpValue => rhea.types.wrap_long(value),
  symbol: (value: string): AmqpValue => rhea.types.wrap_symbol(value),
  timestamp: (unixMs: number): AmqpValue => rhea.types.wrap_timestamp(unixMs),
  strings: (values: readonly string[]): AmqpValue => rhea.types.wrap_array(values, 0xa1, undefined),
  map: (value: Readonly<Record<string, AmqpValue>>): AmqpValue => rhea.types.wrap_map(value),
};

/** Capabilities that the client asked for; rhea gives one as a string, several as an array. */
export function desiredCapabilities(link: {
  readonly desired_capabilities: string | readonly string[] | null | undefined;
}): readonly string[] {
  const desired = link.desired_capabilities;
  if (desired === null || desired === undefined) return [];
  return typeof desired === 'string' ? [desired] : desired.map(String);
}
