import type { RunRecord } from '@xva/contracts';
import type { SweepReport } from './items.ts';

/** The run records, with compare-and-swap. */
export interface SweepRunStore {
  list(): AsyncIterable<{ record: RunRecord; etag: string }>;
  get(runId: string): Promise<{ record: RunRecord; etag: string } | undefined>;
  /** False when the record changed since `etag`. */
  replace(record: RunRecord, etag: string): Promise<boolean>;
  isPinned(runId: string): Promise<boolean>;
}

export interface BlobFactsLike {
  readonly name: string;
  readonly size: number;
  readonly etag: string;
  readonly lastModified: Date;
}

export type SweepBlobKind = 'object' | 'request' | 'dead-letter';

/** One class of blobs. */
export interface SweepBlobs {
  readonly list: () => AsyncIterable<BlobFactsLike>;
  readonly head: (name: string) => Promise<BlobFactsLike | undefined>;
  /** Deletes the version `etag` only. */
  readonly delete: (name: string, etag: string) => Promise<'deleted' | 'absent' | 'changed'>;
}

/** Storage as the collector needs it; prefixes and containers are the adapter's business. */
export interface SweepStorage {
  listRunContainers(): AsyncIterable<{ name: string; lastModified: Date }>;
  headRunContainer(name: string): Promise<{ lastModified: Date } | undefined>;
  /** False when there was none. */
  deleteRunContainer(name: string): Promise<boolean>;
  readonly blobs: Readonly<Record<SweepBlobKind, SweepBlobs>>;
  /** Names of the objects that a package consists of, its manifest included; undefined when the manifest is gone. */
  packageObjects(packageId: string): Promise<readonly string[] | undefined>;
  hasPublishedResult(runId: string): Promise<boolean>;
}

export interface SweepBatch {
  /** The jobs of the account; `since` is when the present state began. */
  listJobs(): AsyncIterable<{ id: string; state: string; since: Date }>;
  getJob(jobId: string): Promise<{ state: string; since: Date } | undefined>;
  /** `absent` when there is none. Deleting is asynchronous on Azure: asking twice is harmless. */
  deleteJob(jobId: string): Promise<'deleted' | 'absent'>;
}

/** Where reports and what became of them are kept. */
export interface SweepLedger {
  saveReport(report: SweepReport): Promise<void>;
  loadReport(reportId: string): Promise<SweepReport | undefined>;
  latestReportId(): Promise<string | undefined>;
  /** One line per act, kept for ever: who, what, why, outcome. */
  audit(entry: Readonly<Record<string, string | number | null>>): Promise<void>;
}
