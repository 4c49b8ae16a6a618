import type { RunRecord } from '@xva/contracts';
import type { Clock, Logger } from '@xva/runtime';
import type { ManifestSource } from './manifests.ts';
import type { SubmitPolicy } from './policy.ts';
import type { BatchPort, CostModelStore, Ledger, RunStore, StoredRun, UsageStore, WorkStorage } from './ports.ts';

export interface SubmitDeps {
  readonly runs: RunStore;
  readonly batch: BatchPort;
  readonly work: WorkStorage;
  readonly ledger: Ledger;
  readonly manifests: ManifestSource;
  readonly clock: Clock;
  readonly policy: SubmitPolicy;
  readonly logger: Logger;
  /** Absent = fair share knows the open runs only. */
  readonly usage?: UsageStore | undefined;
  /** Absent = plans use the built-in figures. */
  readonly costModel?: CostModelStore | undefined;
}

/** What one act on a run came to. */
export type StepResult =
  /** The record was written: the next act may follow at once. */
  | { readonly kind: 'moved'; readonly run: StoredRun }
  /** Somebody else wrote the record: read it again. */
  | { readonly kind: 'stale' }
  /** Nothing to do before something happens elsewhere, or before `notBefore`. */
  | {
      readonly kind: 'waiting';
      readonly run: StoredRun;
      readonly on: 'admission' | 'quota' | 'tasks' | 'retry';
      readonly notBefore?: Date | undefined;
    }
  /** Nothing of the run is open any more. */
  | { readonly kind: 'over'; readonly run: StoredRun };

/** Writes the next version over the one that was read. */
export async function swap(deps: SubmitDeps, run: StoredRun, record: RunRecord): Promise<StepResult> {
  const etag = await deps.runs.swap(record, run.etag);
  return etag === undefined ? { kind: 'stale' } : { kind: 'moved', run: { record, etag } };
}
