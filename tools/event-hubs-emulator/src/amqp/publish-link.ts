import type { FaultAction } from '@xva/emulator-kit';
import { readPublication, withPublisher, type Publication } from '../events/publication.ts';
import type { Hub, Partition } from '../hubs/hub.ts';
import { partitionOfKey } from '../hubs/partition-key.ts';
import { ProducerStampError, advanceSequence, type ProducerStamp } from '../hubs/producers.ts';
import { condition, faultError, toAmqpError } from './errors.ts';
import { accept, reject } from './rhea.ts';
import type { AmqpError, IncomingDelivery, IncomingLink } from './rhea-shapes.ts';
import type { Service } from './service.ts';

const creditWindow = 300;

/** What a link sends to. */
export interface PublishTarget {
  readonly hub: Hub;
  /** Of a link to one partition, else the hub chooses. */
  readonly partition: Partition | undefined;
  /** Of a link to a publisher's address. */
  readonly publisher: string | undefined;
  /** Of an idempotent producer. */
  readonly producer: Pick<ProducerStamp, 'producerId' | 'epoch'> | undefined;
}

/** A link on which a producer sends. Accepts a publication only once it is durable. */
export class PublishLink {
  readonly #link: IncomingLink;
  readonly #service: Service;
  readonly #target: PublishTarget;
  readonly #kill: () => void;
  #outstanding = 0;
  #closed = false;

  constructor(link: IncomingLink, service: Service, target: PublishTarget, kill: () => void) {
    this.#link = link;
    this.#service = service;
    this.#target = target;
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
    const { hub, publisher } = this.#target;
    const publication = readPublication(payload, format);
    const { partitionKey } = publication;
    if (publisher !== undefined && partitionKey !== undefined && partitionKey !== publisher) {
      const description = `The partition key '${partitionKey}' is not the publisher '${publisher}' of the link.`;
      return { condition: condition.argumentError, description };
    }
    const partition = this.#partitionFor(partitionKey);
    const place = { namespace: this.#service.registry.namespace, hub: hub.name, partition: partition.id, partitionKey };
    const fault = faults.take('send', place);
    const events = publication.events.length;
    transcript.add({ kind: 'send', ...place, publisher, events, bytes: payload.length, fault: fault?.kind });
    const before = this.#beforeWrite(fault) ?? this.#throttled(payload.length, events);
    if (before !== undefined) return before;
    await this.#store(partition, publication);
    if (fault?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, Number(fault['ms'] ?? 0)));
    if (fault?.kind === 'killAfterWrite') this.#kill();
    return fault?.kind === 'dropAck' || fault?.kind === 'killAfterWrite' ? 'silent' : 'stored';
  }

  #partitionFor(partitionKey: string | undefined): Partition {
    const { hub, partition, publisher } = this.#target;
    if (partition !== undefined) return partition;
    // A publisher's events stay together, as if its name were the key.
    if (publisher !== undefined) return hub.partition(String(partitionOfKey(publisher, hub.partitions.length)));
    return hub.choose(partitionKey);
  }

  async #store(partition: Partition, publication: Publication): Promise<void> {
    const { publisher, producer } = this.#target;
    const { stamps } = publication;
    const events =
      publisher === undefined ? publication.events : publication.events.map((event) => withPublisher(event, publisher));
    if (producer === undefined) {
      await partition.log.append(events);
      return;
    }
    const first = stamps[0]?.sequence;
    if (first === undefined) throw new ProducerStampError('an event without com.microsoft:producer-sequence-number');
    for (const [index, { producerId, epoch, sequence }] of stamps.entries()) {
      if (producerId !== producer.producerId || epoch !== producer.epoch) {
        throw new ProducerStampError(`event ${index} of the batch is not of the link's producer and epoch`);
      }
      if (sequence !== advanceSequence(first, index)) {
        throw new ProducerStampError(`event ${index} of the batch has the number '${sequence ?? 'none'}'`);
      }
    }
    const stamp = { ...producer, sequence: first };
    const outcome = await partition.producers.publish(stamp, events.length, () =>
      partition.log.append(events, { ...stamp }),
    );
    if (outcome === 'duplicate') this.#service.transcript.add({ kind: 'duplicate', partition: partition.id, ...stamp });
  }

  #throttled(bytes: number, events: number): AmqpError | undefined {
    const { throughput, registry } = this.#service;
    const waitMs = throughput.waitMs('in');
    if (waitMs === 0) {
      throughput.take('in', bytes, events);
      return undefined;
    }
    const description =
      `The namespace '${registry.namespace}' takes no more than ${throughput.units ?? 0} throughput unit(s) let in. ` +
      `Error code: 50002. Try again in ${waitMs} ms.`;
    return { condition: condition.serverBusy, description };
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
