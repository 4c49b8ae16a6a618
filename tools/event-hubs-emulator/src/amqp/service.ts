import type { FaultBoard, Transcript } from '@xva/emulator-kit';
import type { SharedAccessPolicy } from '../auth/sas.ts';
import type { HubRegistry } from '../hubs/hub.ts';

/** What all connections share. */
export interface Service {
  readonly registry: HubRegistry;
  readonly policies: readonly SharedAccessPolicy[];
  readonly faults: FaultBoard;
  readonly transcript: Transcript;
  readonly now: () => number;
  /** Bytes of the largest publication that is taken. */
  readonly maxMessageBytes: number;
}
