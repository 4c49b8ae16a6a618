import { randomBytes } from 'node:crypto';

/** W3C Trace Context section 3.2: `00-<trace id>-<span id>-<flags>`. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: string;
}

export type RandomHex = (bytes: number) => string;
const systemRandomHex: RandomHex = (bytes) => randomBytes(bytes).toString('hex');

export function newTraceparent(randomHex: RandomHex = systemRandomHex): string {
  return `00-${randomHex(16)}-${randomHex(8)}-01`;
}

/** Undefined for anything that is not a version 00 traceparent with ids that are not all zero. */
export function parseTraceparent(text: string | undefined | null): TraceContext | undefined {
  const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(text ?? '');
  if (match?.[1] === undefined || match[2] === undefined || match[3] === undefined) return undefined;
  if (/^0+$/.test(match[1]) || /^0+$/.test(match[2])) return undefined;
  return { traceId: match[1], spanId: match[2], flags: match[3] };
}

/** A new span in the same trace; a new trace when there is none to go on from. */
export function childTraceparent(parent: string | undefined | null, randomHex: RandomHex = systemRandomHex): string {
  const context = parseTraceparent(parent);
  return context === undefined ? newTraceparent(randomHex) : `00-${context.traceId}-${randomHex(8)}-${context.flags}`;
}
