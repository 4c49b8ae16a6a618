/** One receiver link on a partition. `epoch` undefined: a reader without owner level. */
export interface Reader {
  readonly name: string;
  readonly epoch: number | undefined;
  /** Tells the reader, in a sentence, who took its place. */
  disconnect(description: string): void;
}

export type Admission =
  | { readonly outcome: 'admitted'; readonly displaced: readonly Reader[] }
  | { readonly outcome: 'refused'; readonly condition: string; readonly description: string };

/** The service's limit of readers without epoch per consumer group and partition. */
export const maxReaders = 5;

/**
 * Whether a newcomer may read beside those who do, within one consumer group and partition.
 *
 * A higher or equal epoch takes over (equal: the newest wins, event processors all use 0); a lower one, or none while
 * somebody has one, is refused; without epochs five read together and the sixth is refused.
 */
export function admit(
  present: readonly Reader[],
  newcomer: { readonly name: string; readonly epoch: number | undefined },
): Admission {
  const owner = present.find((reader) => reader.epoch !== undefined);
  const { name, epoch } = newcomer;
  if (epoch === undefined) {
    if (owner !== undefined) {
      return {
        outcome: 'refused',
        condition: 'amqp:link:stolen',
        description:
          `At least one receiver for the endpoint is created with epoch of '${owner.epoch ?? 0}', ` +
          'and so non-epoch receiver is not allowed. Reconnect with a higher epoch.',
      };
    }
    if (present.length >= maxReaders) {
      return {
        outcome: 'refused',
        condition: 'amqp:resource-limit-exceeded',
        description:
          'Exceeded the maximum number of allowed receivers per partition in a consumer group ' +
          `which is ${maxReaders}. List of connected receivers - ${present.map((reader) => reader.name).join(', ')}.`,
      };
    }
    return { outcome: 'admitted', displaced: [] };
  }
  if (owner?.epoch !== undefined && epoch < owner.epoch) {
    return {
      outcome: 'refused',
      condition: 'amqp:link:stolen',
      description:
        `Receiver '${name}' with epoch '${epoch}' cannot be created: receiver '${owner.name}' with a higher epoch ` +
        `'${owner.epoch}' exists.`,
    };
  }
  return { outcome: 'admitted', displaced: present };
}

function takeoverText(winner: Reader, loser: Reader): string {
  return (
    `New receiver '${winner.name}' with higher epoch of '${winner.epoch ?? 0}' is created hence current receiver ` +
    `'${loser.name}' with epoch '${loser.epoch ?? 'none'}' is getting disconnected. If you are recreating the ` +
    'receiver, make sure a higher epoch is used.'
  );
}

/** The readers of one partition, by consumer group. */
export class ReaderRegistry {
  readonly #readers = new Map<string, Set<Reader>>();

  /** Lets the reader in, disconnecting those whose place it takes, or says why not. */
  enter(consumerGroup: string, reader: Reader): Admission {
    const present = this.#readers.get(consumerGroup) ?? new Set<Reader>();
    this.#readers.set(consumerGroup, present);
    const admission = admit([...present], reader);
    if (admission.outcome === 'refused') return admission;
    for (const displaced of admission.displaced) present.delete(displaced);
    present.add(reader);
    for (const displaced of admission.displaced) displaced.disconnect(takeoverText(reader, displaced));
    return admission;
  }

  leave(consumerGroup: string, reader: Reader): void {
    this.#readers.get(consumerGroup)?.delete(reader);
  }

  count(consumerGroup: string): number {
    return this.#readers.get(consumerGroup)?.size ?? 0;
  }
}
