import type { FaultBoard, Transcript } from '@xva/emulator-kit';
import type { SharedAccessPolicy } from '../auth/sas.ts';
import type { HubRegistry } from '../hubs/hub.ts';
import type { Throughput } from '../hubs/throughput.ts';

/** What all connections to one namespace share. */
export interface Service {
  readonly registry: HubRegistry;
  readonly throughput: Throughput;
  readonly policies: readonly SharedAccessPolicy[];
  readonly faults: FaultBoard;
  readonly transcript: Transcript;
  readonly now: () => number;
  /** Bytes of the largest publication that is taken. */
  readonly maxMessageBytes: number;
}
