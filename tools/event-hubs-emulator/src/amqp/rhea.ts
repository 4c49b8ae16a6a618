import type { Socket } from 'node:net';
import rhea from 'rhea';
import { scanSections } from '../events/encoding.ts';
import { guard, maxFrameBytes, maxHandle, type ConnectionHooks } from './connection-guard.ts';
import type {
  AmqpConnection,
  AmqpError,
  AmqpValue,
  IncomingDelivery,
  MessageContext,
  PrivateConnection,
  RequestMessage,
} from './rhea-shapes.ts';

/**
 * With `rhea-shapes.ts` and `connection-guard.ts` the one place that knows rhea (3.0.5), and its insides: whole-width frames, corked writes and raw payloads cannot be
 * had through its public interface. The tests with the official clients tell when another version breaks this.
 */

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
/** Stands for format 0, which rhea would decode on its own, losing the bytes. */
const rawFormat = 0xfffffffe;

const container = rhea.create_container({ id: 'event-hubs-emulator' });
// What no connection handles ends here instead of ending the process.
container.on('error', () => undefined);

/**
 * Speaks AMQP on an accepted socket.
 *
 * Every performative goes out with all of its fields, as the service sends them: azure-eventhub for Python reads
 * fields by position. Writes of one tick leave in one packet. Nothing is accepted automatically. What the peer sends is
 * checked before rhea sees it; whoever breaks the protocol gets a close frame with a named error.
 */
export function acceptConnection(socket: Socket, hooks: ConnectionHooks): AmqpConnection {
  const connection = container.create_connection({
    container_id: 'event-hubs-emulator',
    max_frame_size: maxFrameBytes,
    channel_max: 4_999,
    idle_time_out: 240_000,
    reconnect: false,
    tcp_no_delay: true,
    receiver_options: { autoaccept: false, credit_window: 0 },
  } as never) as unknown as PrivateConnection;
  padAndCork(connection, socket);
  guard(connection, socket, hooks);
  const onTransfer = connection.on_transfer.bind(connection);
  connection.on_transfer = (frame) => {
    frame.performative.message_format ||= rawFormat;
    onTransfer(frame);
  };
  const flow = connection.on_flow.bind(connection);
  connection.on_flow = (frame) => {
    flow(frame);
    hooks.onFlow();
  };
  // rhea's timers outlive a socket that is destroyed on this side, and its writing arms them again.
  socket.on('close', () => {
    connection.output = () => undefined;
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

/** @throws AmqpDecodeError */
export function decodeRequest(payload: Buffer): RequestMessage {
  scanSections(payload);
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
