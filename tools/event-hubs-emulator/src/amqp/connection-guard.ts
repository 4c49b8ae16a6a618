import type { Socket } from 'node:net';
import { AmqpDecodeError } from '../events/encoding.ts';
import { FrameGuard, framingError, ProtocolViolation, SpokeHttpError } from './frame-guard.ts';
import type { AmqpError, Frame, PrivateConnection, PrivateLink } from './rhea-shapes.ts';

export const maxHandle = 255;
export const maxFrameBytes = 65_536;
/** A peer may open so many sessions and so many links in each. */
const maxSessions = 256;
const maxLinksPerSession = maxHandle + 1;
/** Python sends its first message before it has seen credit; a peer that goes on like that is stopped. */
const maxOverdraft = 100;
const maxDispositionSpan = 65_536;
const slowestPulseMs = 100;
const partingMs = 1000;

/** What a connection tells its owner. */
export interface ConnectionHooks {
  /** After every flow frame, whether for a link or the session. */
  readonly onFlow: () => void;
  /** The peer broke the protocol; the connection was closed with this error. */
  readonly onViolation: (error: AmqpError) => void;
  /** Bytes of the largest delivery that is put together before it is refused. */
  readonly maxDeliveryBytes: number;
}

/** SASL outcome "sys" (OASIS AMQP 1.0, part 5, section 5.3.3.6): the one way to name a failure before the open. */
const saslFailure = Buffer.from('0000001002010000005344c003015002', 'hex');
const nothing = Buffer.alloc(0);
const saslHeader = Buffer.from('414d515003010000', 'hex');

/** Checks what comes in, and turns whatever goes wrong on the way into a close frame and the end of the connection. */
export function guard(connection: PrivateConnection, socket: Socket, hooks: ConnectionHooks): void {
  const frames = new FrameGuard(maxFrameBytes, () => connection.sasl_transport?.transports[3].outcome === 0);
  let failed = false;
  const fail = (cause: unknown): void => {
    if (failed) return;
    failed = true;
    const error = violationOf(cause);
    hooks.onViolation(error);
    try {
      if (cause instanceof SpokeHttpError) socket.write(httpAnswer(error.description));
      else sayGoodbye(connection, socket, frames, error);
    } catch {
      // The peer may be gone, or its own limits may forbid even this frame.
    }
    socket.end();
    // Whoever does not close in turn is cut off.
    const cut = setTimeout(() => socket.destroy(), partingMs).unref();
    socket.once('close', () => clearTimeout(cut));
  };
  const input = connection.input.bind(connection);
  connection.input = (chunk) => {
    if (failed) return;
    try {
      const bytes = frames.push(chunk);
      if (bytes.length > 0) input(bytes);
      if (frames.isHeld) setImmediate(goOn);
    } catch (error) {
      fail(error);
    }
  };
  const goOn = (): void => {
    if (failed || socket.destroyed) return;
    connection.input(nothing);
    if (frames.isHeld) fail(new ProtocolViolation(framingError, 'an AMQP header before the end of SASL'));
  };
  const process = connection._process.bind(connection);
  connection._process = () => {
    try {
      process();
    } catch (error) {
      fail(error);
    }
  };
  connection.on('protocol_error', fail);
  connection.on('error', fail);
  limit(connection, hooks.maxDeliveryBytes);
}

function httpAnswer(text: string): string {
  const head = ['HTTP/1.1 501 Not Implemented', 'Content-Type: text/plain', `Content-Length: ${text.length}`];
  return [...head, 'Connection: close', '', text].join('\r\n');
}

function violationOf(cause: unknown): AmqpError {
  const description = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof ProtocolViolation) return { condition: cause.condition, description };
  if (cause instanceof AmqpDecodeError) return { condition: 'amqp:decode-error', description };
  return { condition: 'amqp:not-allowed', description: `the peer broke the protocol: ${description}` };
}

function sayGoodbye(connection: PrivateConnection, socket: Socket, frames: FrameGuard, error: AmqpError): void {
  if (socket.destroyed) return;
  if (!frames.sawHeader || frames.inSasl) {
    if (socket.bytesWritten === 0) socket.write(saslHeader);
    if (frames.inSasl) socket.write(saslFailure);
    return;
  }
  if (!connection.state.local_open) connection._write_frame(0, connection.local.open);
  connection.local.close.error = error;
  connection._write_frame(0, connection.local.close);
}

function violate(condition: string, description: string): never {
  throw new ProtocolViolation(condition, description);
}

/** A field of a performative that must be a whole number from 0, if it is there. */
function numberField({ performative }: Frame, name: string): number | undefined {
  const value = performative[name];
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  return violate('amqp:decode-error', `the field ${name} is no whole number`);
}

/** Holds the peer within what was agreed: rhea trusts it. */
function limit(connection: PrivateConnection, maxDeliveryBytes: number): void {
  const before = (
    name: 'on_open' | 'on_begin' | 'on_attach' | 'on_transfer' | 'on_disposition' | 'on_flow',
    check: (frame: Frame) => void,
  ): void => {
    const handle = connection[name].bind(connection);
    connection[name] = (frame: Frame) => {
      check(frame);
      handle(frame);
    };
  };
  before('on_open', (frame) => {
    const frameSize = numberField(frame, 'max_frame_size') ?? maxFrameBytes;
    if (frameSize < 512) violate('amqp:not-allowed', `a max-frame-size of ${frameSize} is less than 512`);
    const idleMs = numberField(frame, 'idle_time_out') ?? 0;
    if (idleMs > 0 && idleMs < slowestPulseMs) {
      violate('amqp:not-allowed', `an idle-time-out of ${idleMs} ms is less than ${slowestPulseMs}`);
    }
  });
  before('on_begin', (frame) => {
    for (const name of ['remote_channel', 'next_outgoing_id', 'incoming_window', 'outgoing_window']) {
      numberField(frame, name);
    }
    if (connection.remote_channel_map[frame.channel] !== undefined) {
      violate('amqp:not-allowed', `channel ${frame.channel} has begun already`);
    }
    if (Object.keys(connection.local_channel_map).length >= maxSessions) {
      violate('amqp:resource-limit-exceeded', `more than ${maxSessions} sessions`);
    }
  });
  before('on_attach', (frame) => {
    const { name } = frame.performative;
    if (typeof name !== 'string' || name === '__proto__') violate('amqp:decode-error', 'a link needs a name');
    const handle = numberField(frame, 'handle');
    if (handle === undefined || handle > maxHandle) {
      violate('amqp:not-allowed', `the handle ${handle ?? 'none'} is beyond ${maxHandle}`);
    }
    const links = connection.remote_channel_map[frame.channel]?.links ?? {};
    if (Object.keys(links).length >= maxLinksPerSession) {
      violate('amqp:resource-limit-exceeded', `more than ${maxLinksPerSession} links in one session`);
    }
  });
  const overdrafts = new WeakMap<PrivateLink, number>();
  before('on_transfer', (frame) => {
    const handle = numberField(frame, 'handle') ?? violate('amqp:decode-error', 'a transfer needs a handle');
    const link = connection.remote_channel_map[frame.channel]?.remote.handles[handle];
    if (link === undefined) violate('amqp:session:unattached-handle', `no link has the handle ${handle}`);
    const collected = link._incomplete?.frames.reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0) ?? 0;
    if (collected + (frame.payload?.length ?? 0) > maxDeliveryBytes) {
      violate('amqp:link:message-size-exceeded', `a delivery of more than ${maxDeliveryBytes} bytes`);
    }
    if (link.credit > 0) return;
    const overdraft = (overdrafts.get(link) ?? 0) + 1;
    if (overdraft > maxOverdraft) violate('amqp:link:transfer-limit-exceeded', 'transfers without credit');
    overdrafts.set(link, overdraft);
    link.credit = 1;
  });
  before('on_disposition', (frame) => {
    const first = numberField(frame, 'first') ?? violate('amqp:decode-error', 'a disposition needs its first id');
    const span = (numberField(frame, 'last') ?? first) - first;
    if (span > maxDispositionSpan) violate('amqp:not-allowed', `a disposition of ${span} deliveries`);
  });
  before('on_flow', (frame) => {
    const names = ['next_incoming_id', 'incoming_window', 'next_outgoing_id', 'outgoing_window', 'handle'];
    for (const name of [...names, 'delivery_count', 'link_credit']) numberField(frame, name);
  });
}
