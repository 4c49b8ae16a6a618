import type { FaultAction } from '@xva/emulator-kit';
import { AmqpDecodeError } from '../events/encoding.ts';
import { EntityNotFoundError } from '../hubs/hub.ts';
import { OutOfOrderSequenceError, ProducerEpochStolenError, ProducerStampError } from '../hubs/producers.ts';
import { PositionPastEndError } from '../log/position.ts';
import { FilterError } from './address.ts';
import type { AmqpError } from './rhea-shapes.ts';

/** Conditions that the clients translate into their own errors. */
export const condition = {
  decodeError: 'amqp:decode-error',
  internalError: 'amqp:internal-error',
  linkStolen: 'amqp:link:stolen',
  messageSizeExceeded: 'amqp:link:message-size-exceeded',
  notFound: 'amqp:not-found',
  notImplemented: 'amqp:not-implemented',
  unauthorized: 'amqp:unauthorized-access',
  argumentError: 'com.microsoft:argument-error',
  epochStolen: 'com.microsoft:producer-epoch-stolen',
  outOfOrderSequence: 'com.microsoft:out-of-order-sequence',
  serverBusy: 'com.microsoft:server-busy',
} as const;

/** The wire form of an error: the one table of what goes out for what. */
export function toAmqpError(error: unknown): AmqpError {
  const description = error instanceof Error ? error.message : String(error);
  if (error instanceof EntityNotFoundError) return { condition: condition.notFound, description };
  if (error instanceof PositionPastEndError) return { condition: condition.argumentError, description };
  if (error instanceof FilterError) return { condition: condition.argumentError, description };
  if (error instanceof AmqpDecodeError) return { condition: condition.decodeError, description };
  if (error instanceof ProducerEpochStolenError) return { condition: condition.epochStolen, description };
  if (error instanceof OutOfOrderSequenceError) return { condition: condition.outOfOrderSequence, description };
  if (error instanceof ProducerStampError) return { condition: condition.argumentError, description };
  return { condition: condition.internalError, description };
}

function text(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

/** The error that a fault rule asks for. */
export function faultError(action: FaultAction): AmqpError {
  return {
    condition: text(action['condition'], condition.serverBusy),
    description: text(action['description'], 'fault rule'),
  };
}
