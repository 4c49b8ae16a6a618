import { formatRequestKey, requestBlobOf, runRequestedType, workContainers, type RunEvent } from '@xva/contracts';
import type { Frozen } from './freeze.ts';

/** The thin event: key facts, where the frozen request lies, and its hash. */
export function buildRunEvent(definition: string, frozen: Frozen, traceparent: string, time: Date): RunEvent {
  return {
    specversion: '1.0',
    id: frozen.eventId,
    source: `/xva-db-integrator/${definition}`,
    type: runRequestedType,
    subject: formatRequestKey(frozen.key),
    time: time.toISOString(),
    datacontenttype: 'application/json',
    traceparent,
    data: {
      schemaVersion: '1.0',
      runId: frozen.runId,
      requestKey: frozen.key,
      requestBlob: `${workContainers.requests}/${requestBlobOf(frozen.eventId)}`,
      requestSha256: frozen.sha256,
      requestBytes: frozen.bytes.length,
      tradeCount: frozen.tradeCount,
      nettingSetCount: frozen.nettingSetCount,
    },
  };
}
