import type { FaultAction } from '@xva/emulator-kit';
import { readPublication } from '../events/publication.ts';
import type { Hub, Partition } from '../hubs/hub.ts';
import { condition, faultError, toAmqpError } from './errors.ts';
import { accept, reject, type AmqpError, type IncomingDelivery, type IncomingLink } from './rhea.ts';
import type { Service } from './service.ts';

const creditWindow = 300;

/** A link on which a producer sends. Accepts a publication only once it is durable. */
export class PublishLink {
  readonly #link: IncomingLink;
  readonly #service: Service;
  readonly #hub: Hub;
  readonly #partition: Partition | undefined;
  readonly #kill: () => void;
  #outstanding = 0;
  #closed = false;

  constructor(link: IncomingLink, service: Service, hub: Hub, partition: Partition | undefined, kill: () => void) {
    this.#link = link;
    this.#service = service;
    this.#hub = hub;
    this.#partition = partition;
    this.#kill = kill;
    this.#topUp();
  }

  /** Nothing is answered any more; what was handed to the log is still written. */
  dispose(): void {
    this.#closed = true;
  }

  async receive(delivery: IncomingDelivery, payload: Buffer, format: number): Promise<void> {
    this.#outstanding += 1;
    const error = await this.#publish(delivery, payload, format).catch(toAmqpError);
    this.#outstanding -= 1;
    if (this.#closed) return;
    if (error === 'stored') accept(delivery);
    // Settled on this side only: the producer hears nothing, and the session does not keep the delivery for ever.
    else if (error === 'silent') delivery.settled = true;
    else reject(delivery, error);
    this.#topUp();
  }

  async #publish(
    delivery: IncomingDelivery,
    payload: Buffer,
    format: number,
  ): Promise<'stored' | 'silent' | AmqpError> {
    const { maxMessageBytes, faults, transcript } = this.#service;
    if (payload.length > maxMessageBytes) {
      const description =
        `The received message (delivery-id:${delivery.id}, size:${payload.length} bytes) exceeds the limit ` +
        `(${maxMessageBytes} bytes) currently allowed on the link.`;
      return { condition: condition.messageSizeExceeded, description };
    }
    const { partitionKey, events } = readPublication(payload, format);
    const partition = this.#partition ?? this.#hub.choose(partitionKey);
    const place = { hub: this.#hub.name, partition: partition.id, partitionKey };
    const fault = faults.take('send', place);
    transcript.add({ kind: 'send', ...place, events: events.length, bytes: payload.length, fault: fault?.kind });
    const before = this.#beforeWrite(fault);
    if (before !== undefined) return before;
    await partition.log.append(events);
    if (fault?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, Number(fault['ms'] ?? 0)));
    if (fault?.kind === 'killAfterWrite') this.#kill();
    return fault?.kind === 'dropAck' || fault?.kind === 'killAfterWrite' ? 'silent' : 'stored';
  }

  #beforeWrite(fault: FaultAction | undefined): 'silent' | AmqpError | undefined {
    if (fault?.kind === 'reject') return faultError(fault);
    if (fault?.kind !== 'killBeforeWrite') return undefined;
    this.#kill();
    return 'silent';
  }

  /** Credit covers what is on its way and what waits for the disk, so a slow disk slows the producer down. */
  #topUp(): void {
    const missing = creditWindow - this.#link.credit - this.#outstanding;
    if (!this.#closed && missing >= creditWindow / 4) this.#link.add_credit(missing);
  }
}
