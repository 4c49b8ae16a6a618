export { BlobAccount, type BlobAccountOptions, type CollectorOptions, type SoftDelete } from './blob-account.ts';
export {
  BlobContainer,
  type BlobEntry,
  type BlobFacts,
  type BlobPayload,
  type PutOptions,
  type PutOutcome,
} from './blob-container.ts';
export { StorageError } from './errors.ts';
export { mostInBatch, type BlobDeletion, type BlobVersion } from './collect/batch-delete.ts';
export { Collected, type CopyOutcome, type HeldLease } from './collect/collector.ts';
export { Gate, type GateOptions } from './collect/gate.ts';
export type { WalkedBlob, WalkOptions } from './collect/walk.ts';
