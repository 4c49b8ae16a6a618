import { encodeDelivery } from '../events/delivery.ts';
import type { PlacedEvent } from '../events/stored-event.ts';
import type { Partition } from '../hubs/hub.ts';
import type { Reader } from '../hubs/readers.ts';
import type { StartPosition } from '../log/position.ts';
import { condition, faultError, toAmqpError } from './errors.ts';
import type { AmqpError, OutgoingLink } from './rhea-shapes.ts';
import type { Service } from './service.ts';

const burstEvents = 500;
const burstBytes = 1024 * 1024;

/** How a receiver wants to read. */
export interface ReadRequest {
  readonly hub: string;
  readonly consumerGroup: string;
  readonly readerName: string;
  readonly epoch: number | undefined;
  readonly position: StartPosition;
  /** Whether each event shall tell where the partition stands. */
  readonly metrics: boolean;
}

/**
 * A link on which a consumer receives. It reads on when there is credit and something new: a single loop, woken by
 * flow frames and by commits.
 */
export class DeliveryLink implements Reader {
  readonly name: string;
  readonly epoch: number | undefined;
  readonly #link: OutgoingLink;
  readonly #service: Service;
  readonly #partition: Partition;
  readonly #request: ReadRequest;
  readonly #kill: () => void;
  readonly #stopListening: () => void;
  /** Deliveries handed to rhea that it has not written yet; they still count against the credit that rhea shows. */
  #unwritten: { remote_settled: boolean }[] = [];
  /** Runs while the namespace's throughput is used up. */
  #waiting: NodeJS.Timeout | undefined;
  #next: number | undefined;
  #pumping = false;
  #wanted = false;
  #draining = false;
  #closed = false;

  constructor(link: OutgoingLink, service: Service, partition: Partition, request: ReadRequest, kill: () => void) {
    this.name = request.readerName;
    this.epoch = request.epoch;
    this.#link = link;
    this.#service = service;
    this.#partition = partition;
    this.#request = request;
    this.#kill = kill;
    this.#stopListening = partition.log.onCommit(() => this.wake());
  }

  /** Finds the first event; the link is closed with an error when the position is none. */
  async start(): Promise<void> {
    try {
      this.#next = await this.#partition.log.find(this.#request.position);
      this.wake();
    } catch (error) {
      this.close(toAmqpError(error));
    }
  }

  disconnect(description: string): void {
    this.close({ condition: condition.linkStolen, description });
  }

  close(error: AmqpError): void {
    if (this.#closed) return;
    this.dispose();
    this.#link.close(error);
  }

  dispose(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#waiting);
    this.#stopListening();
    this.#partition.readers.leave(this.#request.consumerGroup, this);
  }

  drain(): void {
    this.#draining = true;
    this.wake();
  }

  /** There may be something to do. */
  wake(): void {
    this.#wanted = true;
    if (this.#pumping || this.#closed || this.#next === undefined) return;
    this.#pumping = true;
    this.#pump()
      .catch((error: unknown) => this.close(toAmqpError(error)))
      .finally(() => {
        this.#pumping = false;
        // A commit or a flow that came while the loop was ending would otherwise wake nobody.
        if (this.#wanted) this.wake();
      });
  }

  async #pump(): Promise<void> {
    while (this.#wanted && !this.#isClosed()) {
      this.#wanted = false;
      while (!this.#isClosed() && (await this.#burst())) {
        // rhea writes in the next tick; without this pause it never gets one.
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (this.#draining && !this.#isClosed()) {
        this.#draining = false;
        this.#link.set_drained(true);
      }
    }
  }

  /** Apart, so that a check after an await is not taken for the one before it. */
  #isClosed(): boolean {
    return this.#closed;
  }

  /** How many deliveries may be handed over now: within link credit, the session's window and rhea's ring. */
  #budget(): number {
    this.#unwritten = this.#unwritten.filter((delivery) => !delivery.remote_settled);
    const { outgoing } = this.#link.session;
    const pending = outgoing.next_delivery_id - outgoing.next_pending_delivery;
    const window = outgoing.transfer_window() - pending;
    const credit = this.#link.credit - this.#unwritten.length;
    return Math.min(credit, outgoing.available(), Number.isNaN(window) ? credit : window, burstEvents);
  }

  async #burst(): Promise<boolean> {
    const budget = this.#budget();
    const { log } = this.#partition;
    const from = this.#next ?? 0;
    if (budget <= 0 || from > log.info.lastSequence) return false;
    const waitMs = this.#service.throughput.waitMs('out');
    if (waitMs > 0) {
      this.#waiting ??= setTimeout(() => {
        this.#waiting = undefined;
        this.wake();
      }, waitMs);
      return false;
    }
    const events = await log.read(from, budget, burstBytes);
    // Credit may have been taken back while the disk was read.
    if (this.#isClosed() || this.#budget() < events.length) return false;
    for (const event of events) {
      if (!this.#deliver(event)) return false;
    }
    return events.length > 0;
  }

  #deliver(event: PlacedEvent): boolean {
    const { hub, consumerGroup } = this.#request;
    const { namespace } = this.#service.registry;
    const place = { namespace, hub, consumerGroup, partition: this.#partition.id, sequence: event.sequence };
    const fault = this.#service.faults.take('receive', place);
    if (fault?.kind === 'detach') this.close(faultError(fault));
    if (fault?.kind === 'kill') this.#kill();
    if (this.#isClosed()) return false;
    const metrics = this.#request.metrics ? this.#partition.log.info : undefined;
    const bytes = encodeDelivery(event, metrics, this.#service.now());
    this.#service.throughput.take('out', bytes.length, 1);
    this.#unwritten.push(this.#link.send(bytes, undefined, 0));
    this.#next = event.sequence + 1;
    return true;
  }
}
