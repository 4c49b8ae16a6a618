import type { Readable } from 'node:stream';
import type { FaultBoard } from '@xva/emulator-kit';
import type { EmulatorConfig } from '../config.ts';
import type { Clock } from '../schedule/clock.ts';
import type { Core } from '../schedule/core.ts';
import type { Fleet } from '../schedule/fleet.ts';
import type { JobLife } from '../schedule/job-life.ts';
import type { NodeLife } from '../schedule/node-life.ts';
import type { Quotas } from '../schedule/quotas.ts';
import type { Scaler } from '../schedule/scaler.ts';
import type { ScheduleLife } from '../schedule/schedule-life.ts';
import type { Store } from '../store/store.ts';
import type { Stamps } from '../time.ts';
import { refusal } from '../wire/errors.ts';
import type { Shortest } from '../wire/schedule-specs.ts';

/** What the operations work with. */
export interface Backend {
  readonly store: Store;
  readonly core: Core;
  readonly jobs: JobLife;
  readonly schedules: ScheduleLife;
  readonly fleet: Fleet;
  readonly nodes: NodeLife;
  readonly scaler: Scaler;
  readonly clock: Clock;
  readonly stamps: Stamps;
  readonly faults: FaultBoard;
  readonly config: EmulatorConfig;
  readonly quotas: (account: string) => Quotas;
  readonly shortest: Shortest;
  readonly dataDirectory: string;
}

/** One authenticated request. */
export interface Call {
  readonly account: string;
  readonly apiVersion: string;
  /** Whether the enumerations that changed with an api-version are spelt in lower case. */
  readonly lowerCase: boolean;
  readonly requestId: string;
  /** `http://host:port` as the client addressed it. */
  readonly base: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: ReadonlyMap<string, string>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly stream?: Readable;
}

export type Operation = (backend: Backend, call: Call) => Reply | Promise<Reply>;

/**
 * Whether an answer spells `status` of a collection and `category` of a failure in lower case, as api-versions from 2025
 * do; older ones sent them in Pascal case. The configuration may fix either.
 */
export function lowerCasing(casing: EmulatorConfig['casing'], apiVersion: string): boolean {
  return casing === 'byApiVersion' ? apiVersion >= '2025' : casing === 'lower';
}

export function param(call: Call, name: string): string {
  return call.params[name] ?? '';
}

/** The JSON object of the body; an empty one counts as an empty object. @throws BatchError InvalidRequestBody */
export function jsonBody(call: Call): Record<string, unknown> {
  const text = call.body.toString('utf8');
  if (text.trim() === '') return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw refusal('InvalidRequestBody', { Reason: error instanceof Error ? error.message : 'not JSON' });
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw refusal('InvalidRequestBody', { Reason: 'the body must be a JSON object' });
  }
  return body as Record<string, unknown>;
}

export function header(call: Call, name: string): string | undefined {
  const value = call.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

export const metadata = (call: Call, kind: string): Record<string, string> => ({
  'odata.metadata': `${call.base}/$metadata#${kind}`,
});
