import type { PartitionLog } from '../log/partition-log.ts';
import { partitionOfKey } from './partition-key.ts';
import type { ProducerTable } from './producers.ts';
import { ReaderRegistry } from './readers.ts';

/** Thrown when an address names something that is not there; the text names what is. */
export class EntityNotFoundError extends Error {
  constructor(entity: string, known: string) {
    // The clients recognise the first sentence and then do not retry.
    super(`The messaging entity '${entity}' could not be found. ${known}`);
    this.name = 'EntityNotFoundError';
  }
}

/** What of a partition outlives its connections. */
export interface PartitionStore {
  readonly log: PartitionLog;
  readonly producers: ProducerTable;
}

/** One partition with its readers. */
export interface Partition extends PartitionStore {
  readonly id: string;
  readonly readers: ReaderRegistry;
}

/** One event hub: its partitions and consumer groups. Names do not distinguish case. */
export class Hub {
  readonly name: string;
  readonly createdMs: number;
  readonly partitions: readonly Partition[];
  readonly #groups: ReadonlyMap<string, string>;
  #next = 0;

  constructor(name: string, createdMs: number, stores: readonly PartitionStore[], consumerGroups: readonly string[]) {
    this.name = name;
    this.createdMs = createdMs;
    this.partitions = stores.map((store, index) => ({ ...store, id: String(index), readers: new ReaderRegistry() }));
    this.#groups = new Map(['$Default', ...consumerGroups].map((group) => [group.toLowerCase(), group]));
  }

  get consumerGroups(): readonly string[] {
    return [...this.#groups.values()];
  }

  /** @throws EntityNotFoundError */
  partition(id: string): Partition {
    const found = this.partitions.find((partition) => partition.id === id);
    if (found === undefined) {
      throw new EntityNotFoundError(
        `${this.name}/Partitions/${id}`,
        `The hub has the partitions 0 to ${this.partitions.length - 1}.`,
      );
    }
    return found;
  }

  /** @throws EntityNotFoundError */
  consumerGroup(name: string): string {
    const found = this.#groups.get(name.toLowerCase());
    if (found === undefined) {
      const known = `The hub has the consumer groups ${this.consumerGroups.join(', ')}.`;
      throw new EntityNotFoundError(`${this.name}/ConsumerGroups/${name}`, known);
    }
    return found;
  }

  /** The partition of a publication without partition in its address: by key, else one after the other. */
  choose(partitionKey: string | undefined): Partition {
    const count = this.partitions.length;
    const index = partitionKey === undefined ? this.#next : partitionOfKey(partitionKey, count);
    if (partitionKey === undefined) this.#next = (this.#next + 1) % count;
    return this.partition(String(index));
  }
}

/** All hubs of the namespace. */
export class HubRegistry {
  readonly namespace: string;
  readonly hubs: readonly Hub[];

  constructor(namespace: string, hubs: readonly Hub[]) {
    this.namespace = namespace;
    this.hubs = hubs;
  }

  /** @throws EntityNotFoundError naming the hubs that there are. */
  hub(name: string): Hub {
    const found = this.hubs.find((hub) => hub.name.toLowerCase() === name.toLowerCase());
    if (found !== undefined) return found;
    const confusion =
      name.toLowerCase() === this.namespace.toLowerCase() ? ' That is the name of the namespace, not of a hub.' : '';
    const known = this.hubs.map((hub) => hub.name).join(', ');
    throw new EntityNotFoundError(name, `Known event hubs: ${known}.${confusion}`);
  }
}
