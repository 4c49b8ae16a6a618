import type { Socket } from 'node:net';

/** What of rhea (3.0.5) is used here, its private parts included: its own types lack them. */

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
  readonly [field: string]: unknown;
}

export interface Frame {
  readonly channel: number;
  readonly performative: Performative;
  readonly payload?: Buffer;
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

export interface PrivateSession {
  readonly links: Readonly<Record<string, unknown>>;
  readonly remote: { readonly handles: Readonly<Record<string, PrivateLink>> };
}

/** `_incomplete` is a delivery of which more frames are to come. */
export interface PrivateLink {
  credit: number;
  readonly _incomplete?: { readonly frames: readonly (Buffer | undefined)[] };
}

export interface PrivateConnection extends AmqpConnection {
  readonly state: { readonly local_open: boolean };
  readonly local: { readonly open: Performative; readonly close: Performative & { error?: AmqpError } };
  readonly local_channel_map: Readonly<Record<string, unknown>>;
  readonly remote_channel_map: Readonly<Record<string, PrivateSession>>;
  /** An outcome of 0 ends the SASL layer. */
  readonly sasl_transport?: { readonly transports: { readonly 3: { readonly outcome?: number } } };
  accept(socket: Socket): void;
  input(bytes: Buffer): void;
  output(): void;
  _process(): void;
  _write_frame(channel?: number, performative?: Performative, payload?: Buffer): void;
  on_open(frame: Frame): void;
  on_begin(frame: Frame): void;
  on_attach(frame: Frame): void;
  on_transfer(frame: Frame): void;
  on_disposition(frame: Frame): void;
  on_flow(frame: Frame): void;
  heartbeat_in?: NodeJS.Timeout;
  heartbeat_out?: NodeJS.Timeout;
  abort_idle?: NodeJS.Timeout;
}
