import { DefaultAzureCredential } from '@azure/identity';
import { BlobServiceClient, type StoragePipelineOptions } from '@azure/storage-blob';
import { BlobContainer } from './blob-container.ts';
import { StorageError, translateError } from './errors.ts';

export interface BlobAccountOptions {
  /** `https://<account>.blob.core.windows.net` with the process's Entra identity, or else a connection string. */
  readonly accountUrl?: string | undefined;
  readonly connectionString?: string | undefined;
  /** Tries in all per request, by the SDK's own policy (it honours Retry-After). */
  readonly maxTries?: number | undefined;
  readonly tryTimeoutMs?: number | undefined;
}

/** One storage account's blobs, by Entra identity or connection string. */
export class BlobAccount {
  readonly #service: BlobServiceClient;

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
    if (accountUrl !== undefined && connectionString === undefined) {
      this.#service = new BlobServiceClient(accountUrl, new DefaultAzureCredential(), pipeline);
    } else if (connectionString !== undefined && accountUrl === undefined) {
      this.#service = BlobServiceClient.fromConnectionString(connectionString, pipeline);
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
