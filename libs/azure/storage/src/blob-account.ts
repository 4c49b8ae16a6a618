import { DefaultAzureCredential } from '@azure/identity';
import {
  BlobServiceClient,
  newPipeline,
  StorageSharedKeyCredential,
  type AnonymousCredential,
  type StoragePipelineOptions,
} from '@azure/storage-blob';
import { systemClock, type Clock, type Random } from '@xva/runtime';
import { BlobContainer } from './blob-container.ts';
import { Collected } from './collect/collector.ts';
import { sharedKeySigner, tokenSigner, type PartSigner } from './collect/direct-batch.ts';
import { Gate } from './collect/gate.ts';
import { readPages } from './collect/listing-xml.ts';
import { StorageError, translateError } from './errors.ts';

export interface BlobAccountOptions {
  /** `https://<account>.blob.core.windows.net` with the process's Entra identity, or else a connection string. */
  readonly accountUrl?: string | undefined;
  readonly connectionString?: string | undefined;
  /** Tries in all per request, by the SDK's own policy (it honours Retry-After). */
  readonly maxTries?: number | undefined;
  readonly tryTimeoutMs?: number | undefined;
}

export interface CollectorOptions {
  /** Requests in flight at most (default 16); fewer while Storage says to slow down. */
  readonly parallelism?: number | undefined;
  /** Delete many blobs with one request where the account takes it (default). */
  readonly batches?: boolean | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  readonly onThrottle?: ((limit: number) => void) | undefined;
}

/** What an account keeps of deleted things by itself. */
export interface SoftDelete {
  /** Days that deleted blobs are kept; 0 = not at all. */
  readonly blobDays: number;
}

/** One storage account's blobs, by Entra identity or connection string. */
export class BlobAccount {
  readonly #service: BlobServiceClient;
  readonly #untried: BlobServiceClient;
  readonly #signer: PartSigner | undefined;

  /** @throws StorageError when neither or both of URL and connection string are given. */
  constructor(options: BlobAccountOptions) {
    const { accountUrl, connectionString } = options;
    const pipeline: StoragePipelineOptions = {
      retryOptions: {
        maxTries: options.maxTries ?? 4,
        tryTimeoutInMs: options.tryTimeoutMs ?? 30_000,
        retryDelayInMs: 200,
        maxRetryDelayInMs: 5_000,
      },
    };
    // A gate tries again by itself: it hears every "slow down".
    const once: StoragePipelineOptions = { retryOptions: { ...pipeline.retryOptions, maxTries: 1 } };
    if (accountUrl !== undefined && connectionString === undefined) {
      const credential = new DefaultAzureCredential();
      this.#service = new BlobServiceClient(accountUrl, credential, pipeline);
      this.#untried = new BlobServiceClient(accountUrl, collecting(credential, once));
      this.#signer = tokenSigner(credential);
    } else if (connectionString !== undefined && accountUrl === undefined) {
      this.#service = BlobServiceClient.fromConnectionString(connectionString, pipeline);
      const { credential } = this.#service as unknown as {
        credential: StorageSharedKeyCredential | AnonymousCredential;
      };
      this.#untried = new BlobServiceClient(this.#service.url, collecting(credential, once));
      // With a SAS each part of a batch would need its own: then blobs are deleted one by one.
      this.#signer =
        credential instanceof StorageSharedKeyCredential
          ? sharedKeySigner(credential.accountName, keyOf(connectionString))
          : undefined;
    } else {
      throw new StorageError('account', 'BadOptions', 400, 'give either an account URL or a connection string');
    }
  }

  get url(): string {
    return this.#service.url;
  }

  container(name: string): BlobContainer {
    return new BlobContainer(this.#service.getContainerClient(name));
  }

  /** The client behind `collector`: tries nothing again, and leaves the reading of listings to us. */
  get collectingService(): BlobServiceClient {
    return this.#untried;
  }

  /** The account as a collector uses it: all containers behind one gate. */
  collector(options: CollectorOptions = {}): (container: string) => Collected {
    const gate = new Gate({
      parallelism: options.parallelism ?? 16,
      clock: options.clock ?? systemClock,
      random: options.random ?? Math.random,
      maxAttempts: 6,
      deadlineMs: 120_000,
      onThrottle: options.onThrottle,
    });
    return (container) => new Collected(this.#untried, container, gate, this.#signer, options.batches ?? true);
  }

  /** Whether the account keeps deleted blobs, and for how long. @throws StorageError without the right to ask */
  async softDelete(): Promise<SoftDelete> {
    try {
      const { deleteRetentionPolicy } = await this.#service.getProperties();
      return { blobDays: deleteRetentionPolicy?.enabled === true ? (deleteRetentionPolicy.days ?? 0) : 0 };
    } catch (error) {
      throw translateError(error, 'account');
    }
  }

  /** Names and metadata of the containers under a prefix, page by page. */
  async *listContainers(
    prefix: string,
  ): AsyncGenerator<{ name: string; lastModified: Date; metadata: Readonly<Record<string, string>> }> {
    try {
      for await (const item of this.#service.listContainers({ prefix, includeMetadata: true })) {
        yield { name: item.name, lastModified: item.properties.lastModified, metadata: item.metadata ?? {} };
      }
    } catch (error) {
      throw translateError(error, 'account');
    }
  }

  /** One cheap authenticated request, for health checks. */
  async check(): Promise<string> {
    try {
      const iterator = this.#service.listContainers().byPage({ maxPageSize: 1 });
      await iterator.next();
      return this.#service.accountName;
    } catch (error) {
      throw translateError(error, 'account');
    }
  }
}

/** The client's pipeline with our reader of listings in it. */
function collecting(credential: Parameters<typeof newPipeline>[0], options: StoragePipelineOptions) {
  const pipeline = newPipeline(credential, options);
  pipeline.factories.push(readPages);
  return pipeline;
}

const developmentKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** The account key of a connection string; `UseDevelopmentStorage=true` means the emulator's well-known one. */
function keyOf(connectionString: string): string {
  return /(?:^|;)\s*AccountKey=([^;]+)/i.exec(connectionString)?.[1]?.trim() ?? developmentKey;
}
