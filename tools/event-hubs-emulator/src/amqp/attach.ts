import type { Claim, Grants } from '../auth/sas.ts';
import { producerNames } from '../events/publication.ts';
import type { Partition } from '../hubs/hub.ts';
import { ProducerStampError, type ProducerRequest, type ProducerStamp } from '../hubs/producers.ts';
import { filterExpression, parseAddress, parseFilter } from './address.ts';
import type { ReadRequest } from './delivery-link.ts';
import { condition } from './errors.ts';
import type { PublishTarget } from './publish-link.ts';
import { desiredCapabilities } from './rhea.ts';
import type { AmqpError, IncomingLink, OutgoingLink } from './rhea-shapes.ts';
import type { Service } from './service.ts';

const metricsCapability = 'com.microsoft:enable-receiver-runtime-metric';
const idempotentCapability = 'com.microsoft:idempotent-producer';

/** Thrown to refuse a link: it is attached, as the protocol wants it, and detached with this error. */
export class AttachRefused extends Error {
  readonly error: AmqpError;

  constructor(error: AmqpError) {
    super(error.description);
    this.name = 'AttachRefused';
    this.error = error;
  }
}

function textProperty(link: OutgoingLink, name: string): string | undefined {
  const value = link.properties?.[name];
  return typeof value === 'string' ? value : undefined;
}

function numberProperty(link: OutgoingLink | IncomingLink, name: string): number | undefined {
  const value = link.properties?.[name];
  return value === undefined || value === null ? undefined : Number(value);
}

/** An address that is no text names nothing. */
export function textOf(address: unknown): string {
  return typeof address === 'string' ? address : '';
}

function authorize(grants: Grants, address: string, claim: Claim, nowMs: number): void {
  const refusal = grants.refusal(address, claim, nowMs);
  if (refusal === '') return;
  throw new AttachRefused({ condition: condition.unauthorized, description: `Unauthorized access: ${refusal}` });
}

function refuseUnserved(what: string): never {
  const description = `${what} is not served by this emulator`;
  throw new AttachRefused({ condition: condition.notImplemented, description });
}

/** What an idempotent producer asks for; a property that is there but no number is refused. */
function producerRequest(link: IncomingLink): ProducerRequest {
  const request = {
    producerId: numberProperty(link, producerNames.producerId),
    epoch: numberProperty(link, producerNames.epoch),
    sequence: numberProperty(link, producerNames.sequence),
  };
  for (const [name, value] of Object.entries(request)) {
    if (value !== undefined && !Number.isInteger(value)) throw new ProducerStampError(`${name} is no whole number`);
  }
  return request;
}

function attachProducer(link: IncomingLink, partition: Partition | undefined, nowMs: number): ProducerStamp {
  if (partition === undefined) {
    const description = 'An idempotent producer sends to a partition, not to the hub or to a publisher.';
    throw new AttachRefused({ condition: condition.argumentError, description });
  }
  return partition.producers.attach(producerRequest(link), partition.log.info.beginSequence, nowMs);
}

/** Where a producer's link leads, and its numbers when it is an idempotent one. @throws AttachRefused and what names a fault */
export function resolvePublishing(
  link: IncomingLink,
  service: Service,
  grants: Grants,
): { readonly target: PublishTarget; readonly stamp: ProducerStamp | undefined } {
  const address = textOf(link.target?.address);
  const parsed = parseAddress(address);
  if (parsed.kind !== 'hub' && parsed.kind !== 'publisher') refuseUnserved(`the target '${address}'`);
  const hub = service.registry.hub(parsed.hub);
  const publisher = parsed.kind === 'publisher' ? parsed.publisher : undefined;
  const id = parsed.kind === 'publisher' ? undefined : parsed.partition;
  const partition = id === undefined ? undefined : hub.partition(id);
  authorize(grants, address, 'Send', service.now());
  const isIdempotent = desiredCapabilities(link).includes(idempotentCapability);
  const stamp = isIdempotent ? attachProducer(link, partition, service.now()) : undefined;
  return { target: { hub, partition, publisher, producer: stamp }, stamp };
}

/** What a consumer's link wants to read. @throws AttachRefused and what names a fault */
export function resolveReading(
  link: OutgoingLink,
  service: Service,
  grants: Grants,
): { readonly partition: Partition; readonly request: ReadRequest } {
  const address = textOf(link.source?.address);
  const parsed = parseAddress(address);
  if (parsed.kind !== 'reader') refuseUnserved(`the source '${address}'`);
  const hub = service.registry.hub(parsed.hub);
  const consumerGroup = hub.consumerGroup(parsed.consumerGroup);
  const partition = hub.partition(parsed.partition);
  authorize(grants, address, 'Listen', service.now());
  const epoch = numberProperty(link, 'com.microsoft:epoch');
  if (epoch !== undefined && !(Number.isSafeInteger(epoch) && epoch >= 0)) {
    const description = `The epoch '${epoch}' is not a whole number from 0.`;
    throw new AttachRefused({ condition: condition.argumentError, description });
  }
  return {
    partition,
    request: {
      hub: hub.name,
      consumerGroup,
      readerName: textProperty(link, 'com.microsoft:receiver-name') ?? link.name,
      epoch,
      position: parseFilter(filterExpression(link.source?.filter)),
      metrics: desiredCapabilities(link).includes(metricsCapability),
    },
  };
}
