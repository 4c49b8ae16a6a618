import type { Socket } from 'node:net';
import { Grants } from '../auth/sas.ts';
import { parseAddress } from './address.ts';
import { AttachRefused, resolvePublishing, resolveReading, textOf } from './attach.ts';
import { putToken, replyMessage, type Reply } from './cbs.ts';
import { DeliveryLink } from './delivery-link.ts';
import { condition, faultError, toAmqpError } from './errors.ts';
import { manage } from './management.ts';
import { producerNames } from '../events/publication.ts';
import { PublishLink } from './publish-link.ts';
import { accept, acceptConnection, decodeRequest, formatOf, typed } from './rhea.ts';
import type {
  AmqpConnection,
  AmqpError,
  AmqpSession,
  IncomingLink,
  MessageContext,
  OutgoingLink,
} from './rhea-shapes.ts';
import type { Service } from './service.ts';

const requestCredit = 100;

type RequestNode = 'cbs' | 'management';

/** One client's connection: its tokens and its links. Everything ends with the socket. */
export class ClientConnection {
  readonly #socket: Socket;
  readonly #service: Service;
  readonly #connection: AmqpConnection;
  readonly #grants = new Grants();
  readonly #publishing = new Map<IncomingLink, PublishLink>();
  readonly #delivering = new Map<OutgoingLink, DeliveryLink>();
  readonly #requesting = new Map<IncomingLink, RequestNode>();
  readonly #replying = new Map<OutgoingLink, RequestNode>();

  constructor(socket: Socket, service: Service) {
    this.#socket = socket;
    this.#service = service;
    this.#connection = acceptConnection(socket, {
      onFlow: () => this.#wakeAll(),
      onViolation: (error) => service.transcript.add({ kind: 'violation', ...error }),
      // Somewhat oversize publications are to be refused one by one, as the service does.
      maxDeliveryBytes: 8 * service.maxMessageBytes,
    });
    this.#listen();
  }

  #listen(): void {
    const connection = this.#connection;
    connection.on('receiver_open', ({ receiver }) => {
      this.#attach('sender', receiver, textOf(receiver.target?.address), () => this.#openIncoming(receiver));
    });
    connection.on('sender_open', ({ sender }) => {
      this.#attach('receiver', sender, textOf(sender.source?.address), () => this.#openOutgoing(sender));
    });
    connection.on('message', (context) => this.#message(context));
    connection.on('sender_draining', ({ sender }) => this.#delivering.get(sender)?.drain());
    for (const event of ['receiver_close', 'receiver_error'] as const) {
      connection.on(event, ({ receiver }) => this.#forgetIncoming(receiver));
    }
    for (const event of ['sender_close', 'sender_error'] as const) {
      connection.on(event, ({ sender }) => this.#forgetOutgoing(sender));
    }
    for (const event of ['session_close', 'session_error'] as const) {
      connection.on(event, ({ session }) => this.#forgetSession(session));
    }
    for (const event of ['connection_close', 'connection_error', 'disconnected'] as const) {
      connection.on(event, (fault) => {
        const reason = fault instanceof Error ? fault.message : undefined;
        this.#service.transcript.add({ kind: 'connection', event, reason });
      });
    }
    this.#socket.on('close', () => this.#forgetAll());
  }

  #attach(role: 'sender' | 'receiver', link: IncomingLink | OutgoingLink, address: string, open: () => void): void {
    const fault = this.#service.faults.take('attach', { role, address });
    this.#service.transcript.add({ kind: 'attach', role, address, link: link.name, fault: fault?.kind });
    if (fault?.kind === 'kill') return this.#kill();
    // Python takes a link without source or target for a failed one.
    link.set_source({ address: link.source?.address ?? link.name });
    link.set_target({ address: link.target?.address ?? link.name });
    link.local.attach.rcv_settle_mode = 0;
    try {
      if (fault?.kind === 'detach') throw new AttachRefused(faultError(fault));
      open();
    } catch (error) {
      link.close(error instanceof AttachRefused ? error.error : toAmqpError(error));
    }
  }

  #openIncoming(link: IncomingLink): void {
    const { kind } = parseAddress(textOf(link.target?.address));
    if (kind === 'cbs' || kind === 'management') {
      this.#requesting.set(link, kind);
      link.add_credit(requestCredit);
      return;
    }
    const { target, stamp } = resolvePublishing(link, this.#service, this.#grants);
    if (stamp !== undefined) {
      link.local.attach.properties = {
        [producerNames.epoch]: typed.short(stamp.epoch),
        [producerNames.producerId]: typed.long(stamp.producerId),
        [producerNames.sequence]: typed.int(stamp.sequence),
      };
    }
    link.local.attach.max_message_size = this.#service.maxMessageBytes;
    this.#publishing.set(link, new PublishLink(link, this.#service, target, () => this.#kill()));
  }

  #openOutgoing(link: OutgoingLink): void {
    // Everything goes to clients settled: rhea keeps unsettled deliveries of a session in one ring, and Python never
    // settles, so that its links would stall for good once the ring is full.
    link.local.attach.snd_settle_mode = 1;
    const { kind } = parseAddress(textOf(link.source?.address));
    if (kind === 'cbs' || kind === 'management') {
      this.#replying.set(link, kind);
      return;
    }
    const { partition, request } = resolveReading(link, this.#service, this.#grants);
    const reader = new DeliveryLink(link, this.#service, partition, request, () => this.#kill());
    const admission = partition.readers.enter(request.consumerGroup, reader);
    if (admission.outcome === 'refused') {
      reader.dispose();
      throw new AttachRefused(admission);
    }
    this.#delivering.set(link, reader);
    reader.start().catch((error: unknown) => this.#broke(error));
  }

  /** Detaches the links whose tokens have expired and were not put anew. */
  closeExpired(): void {
    const nowMs = this.#service.now();
    const expired = (address: string, claim: 'Send' | 'Listen'): AmqpError | undefined => {
      const refusal = this.#grants.refusal(address, claim, nowMs);
      return refusal === ''
        ? undefined
        : { condition: condition.unauthorized, description: `ExpiredToken: ${refusal}` };
    };
    for (const [link, publishing] of this.#publishing) {
      const error = expired(textOf(link.target?.address), 'Send');
      if (error === undefined) continue;
      publishing.dispose();
      this.#publishing.delete(link);
      link.close(error);
    }
    for (const [link, reader] of this.#delivering) {
      const error = expired(textOf(link.source?.address), 'Listen');
      if (error === undefined) continue;
      this.#delivering.delete(link);
      reader.close(error);
    }
  }

  #message(context: MessageContext): void {
    const { receiver, delivery, message } = context;
    const node = this.#requesting.get(receiver);
    if (node !== undefined) {
      accept(delivery);
      receiver.add_credit(1);
      this.#request(node, receiver.session, message);
      return;
    }
    this.#publishing
      .get(receiver)
      ?.receive(delivery, message, formatOf(context))
      .catch((error: unknown) => this.#broke(error));
  }

  #request(node: RequestNode, session: AmqpSession, payload: Buffer): void {
    const request = decodeRequest(payload);
    const { operation, name, type } = request.application_properties ?? {};
    const fault = this.#service.faults.take(node, { operation, name, type });
    let reply: Reply;
    if (fault?.kind === 'kill') return this.#kill();
    if (fault?.kind === 'reject') {
      const { condition: faultCondition, description } = faultError(fault);
      reply = { status: Number(fault['status'] ?? 500), description, condition: faultCondition };
    } else if (node === 'cbs') reply = putToken(request, this.#service, this.#grants);
    else reply = manage(request, this.#service, this.#grants);
    const { status, description } = reply;
    this.#service.transcript.add({ kind: node, operation, name, type, status, description, fault: fault?.kind });
    if (fault?.kind !== 'silent') this.#replyLink(node, session, request.reply_to)?.send(replyMessage(request, reply));
  }

  /** Clients name their reply link in different ways, or not at all; the session's last one for the node is it then. */
  #replyLink(node: RequestNode, session: AmqpSession, replyTo: string | undefined): OutgoingLink | undefined {
    const links = [...this.#replying].filter(([link, kind]) => kind === node && link.session === session);
    const named = links.find(([link]) => link.name === replyTo || link.target?.address === replyTo);
    return (named ?? links.at(-1))?.[0];
  }

  #wakeAll(): void {
    for (const reader of this.#delivering.values()) reader.wake();
  }

  /** Something that has no link to be told on: the connection goes, the process stays. */
  #broke(error: unknown): void {
    this.#service.transcript.add({ kind: 'broken', error: String(error) });
    this.#kill();
  }

  #kill(): void {
    this.#socket.destroy();
  }

  #forgetIncoming(link: IncomingLink): void {
    this.#publishing.get(link)?.dispose();
    this.#publishing.delete(link);
    this.#requesting.delete(link);
  }

  #forgetOutgoing(link: OutgoingLink): void {
    this.#delivering.get(link)?.dispose();
    this.#delivering.delete(link);
    this.#replying.delete(link);
  }

  #forgetSession(session: AmqpSession | undefined): void {
    const isHere = (link: { readonly session: AmqpSession }): boolean =>
      session === undefined || link.session === session;
    for (const link of [...this.#publishing.keys(), ...this.#requesting.keys()])
      if (isHere(link)) this.#forgetIncoming(link);
    for (const link of [...this.#delivering.keys(), ...this.#replying.keys()])
      if (isHere(link)) this.#forgetOutgoing(link);
  }

  #forgetAll(): void {
    this.#forgetSession(undefined);
  }
}
