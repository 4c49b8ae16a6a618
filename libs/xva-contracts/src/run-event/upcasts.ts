import { eventId } from '../scalars.ts';
import { deriveRunId } from './ids.ts';
import { formatRequestKey, requestKeySchema } from './request-key.ts';

type Loose = Readonly<Record<string, unknown>>;

/** The major version of run events that this code works on. */
export const runEventMajor = 1;

/** Pure steps from a major version to the next: `get(0)` makes a version 1 event of a version 0 event. */
export const runEventUpcasts: ReadonlyMap<number, (event: Loose) => Loose> = new Map([[0, fromFlat]]);

/**
 * Version 0, the flat form, which a producer can write that derives no ids of its own: the key's fields lie in `data`, and
 * run id, subject, path of the request and trace are left out. What follows from the event's id is derived here; what
 * cannot be derived stays as it is, for the schema to refuse by name.
 */
function fromFlat(event: Loose): Loose {
  const { subject: _subject, data, ...envelope } = event;
  const flat = typeof data === 'object' && data !== null ? (data as Loose) : {};
  const { book, asOf, cut, scenario, revision, ...rest } = flat;
  const key = requestKeySchema.safeParse({ book, asOf, cut, scenario, revision });
  const id = eventId.safeParse(event['id']);
  const trace = id.success ? { traceparent: `00-${id.data}-${id.data.slice(0, 16)}-01` } : {};
  return {
    datacontenttype: 'application/json',
    ...trace,
    ...envelope,
    type: 'com.xvalab.run.requested.v1',
    subject: key.success ? formatRequestKey(key.data) : undefined,
    data: {
      ...rest,
      schemaVersion: '1.0',
      requestKey: { book, asOf, cut, scenario, revision },
      runId: key.success && id.success ? deriveRunId(id.data, key.data) : undefined,
      requestBlob: id.success ? `requests/${id.data}.json` : undefined,
    },
  };
}
