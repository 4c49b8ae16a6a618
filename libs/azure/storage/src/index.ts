export { BlobAccount, type BlobAccountOptions } from './blob-account.ts';
export {
  BlobContainer,
  type BlobEntry,
  type BlobFacts,
  type BlobPayload,
  type PutOptions,
  type PutOutcome,
} from './blob-container.ts';
export { StorageError } from './errors.ts';
