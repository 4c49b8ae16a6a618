import { isUtf8 } from 'node:buffer';
import {
  ContractError,
  deriveRunId,
  parseContract,
  requestBlobOf,
  runEventMajor,
  runEventSchema,
  runEventUpcasts,
  type RunEvent,
} from '@xva/contracts';
import { StepFailure } from './failures.ts';

/** Pure steps from an older major version to the next. */
export type Upcasts = typeof runEventUpcasts;
const standard = { major: runEventMajor, upcasts: runEventUpcasts } as const;

const typePattern = /^com\.xvalab\.run\.requested\.v(0|[1-9][0-9]{0,3})$/;
const schemaPattern = /[/:]v?(0|[1-9][0-9]{0,3})(?:\.[0-9]+)*(?:\/|(?:\.schema)?\.json)?$/;

/**
 * The run event in a message, checked against its contract; older versions are brought up first.
 *
 * @throws StepFailure `poison`: `event-not-json`, `event-type-unknown`, `event-version-newer` (a newer version waits in the
 * dead letters for newer code), `event-version-gone`, `event-invalid`.
 */
export function parseEvent(
  bytes: Uint8Array,
  known: { readonly major: number; readonly upcasts: Upcasts } = standard,
): RunEvent {
  let event = readObject(bytes);
  const major = majorOf(event);
  if (major > known.major) {
    throw new StepFailure('poison', 'event-version-newer', `event version ${major}, this program knows ${known.major}`);
  }
  for (let version = major; version < known.major; version += 1) {
    const upcast = known.upcasts.get(version);
    if (upcast === undefined) {
      throw new StepFailure('poison', 'event-version-gone', `event version ${version} is no longer understood`);
    }
    event = upcast(event);
  }
  return checked(event);
}

function readObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    if (!isUtf8(bytes)) throw new TypeError('bytes that are no UTF-8');
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (error) {
    throw new StepFailure('poison', 'event-not-json', `the message is not JSON in UTF-8: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new StepFailure('poison', 'event-not-json', 'the message is JSON but no object');
  }
  return value as Readonly<Record<string, unknown>>;
}

/** Major version by `dataschema` when the event has one that ends in a version, else by `type`. */
function majorOf(event: Readonly<Record<string, unknown>>): number {
  const { type, dataschema } = event;
  const byType = typeof type === 'string' ? typePattern.exec(type)?.[1] : undefined;
  if (byType === undefined) {
    const found = typeof type === 'string' ? JSON.stringify(type.slice(0, 100)) : 'absent or no text';
    throw new StepFailure('poison', 'event-type-unknown', `the event's type is ${found}`);
  }
  const bySchema = typeof dataschema === 'string' ? schemaPattern.exec(dataschema)?.[1] : undefined;
  return Number(bySchema ?? byType);
}

/** Fields that a newer minor version added would be refused as unknown: the reason is its version, not the fields. */
function refuseNewerData(value: Readonly<Record<string, unknown>>): void {
  const { data } = value;
  const version = typeof data === 'object' && data !== null ? (data as Record<string, unknown>)['schemaVersion'] : '';
  const [, major = '0', minor = '0'] = /^(\d{1,4})\.(\d{1,4})$/.exec(typeof version === 'string' ? version : '') ?? [];
  if (Number(major) > runEventMajor || (Number(major) === runEventMajor && Number(minor) > 0)) {
    const message = `the event's data are version ${major}.${minor}, this program knows ${runEventMajor}.0`;
    throw new StepFailure('poison', 'event-version-newer', message);
  }
}

function checked(value: Readonly<Record<string, unknown>>): RunEvent {
  refuseNewerData(value);
  let event: RunEvent;
  try {
    event = parseContract(runEventSchema, value, 'run event');
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    const defects = error.issues.map(({ path, message }) => ({ subject: path, code: 'event-invalid', message }));
    throw new StepFailure('poison', 'event-invalid', error.message, { defects: defects.slice(0, 100) });
  }
  // Ids that do not follow from each other would let one event overwrite what belongs to another.
  const runId = deriveRunId(event.id, event.data.requestKey);
  if (event.data.runId !== runId) {
    throw new StepFailure(
      'poison',
      'event-invalid',
      `run id ${event.data.runId} does not follow from event ${event.id}`,
    );
  }
  if (event.data.requestBlob !== `requests/${requestBlobOf(event.id)}`) {
    throw new StepFailure(
      'poison',
      'event-invalid',
      `${event.data.requestBlob} is not the request of event ${event.id}`,
    );
  }
  return event;
}
