import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';
import { uploadInBlocks } from './block-upload.ts';
import { StorageError, translateError } from './errors.ts';

export interface PutOptions {
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** `created`, or `exists` when a blob of that name was there before; its content is the caller's to compare. */
export interface PutOutcome {
  readonly outcome: 'created' | 'exists';
}

export interface BlobFacts {
  readonly name: string;
  readonly size: number;
  readonly etag: string;
  readonly lastModified: Date;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface BlobPayload extends BlobFacts {
  readonly bytes: Buffer;
}

export type BlobEntry = BlobFacts;

/** Listings give ETags bare, responses in quotes (RFC 9110 section 8.8.3): one form here, so that they compare. */
function quoted(etag: string): string {
  return etag.startsWith('"') || etag.startsWith('W/') ? etag : `"${etag}"`;
}

const singlePutLimitBytes = 32 * 1024 * 1024;

/** One container. Conditions and their outcomes are in the results; what cannot be helped is a StorageError. */
export class BlobContainer {
  readonly name: string;
  readonly #client: ContainerClient;

  constructor(client: ContainerClient) {
    this.#client = client;
    this.name = client.containerName;
  }

  /** Address of a blob, or of the container itself, as Batch's files are given it. */
  url(blob?: string): string {
    return blob === undefined ? this.#client.url : this.#client.getBlockBlobClient(blob).url;
  }

  /** Creates the container unless it is there. A name that is still being deleted is a retryable StorageError. */
  async ensure(metadata: Readonly<Record<string, string>> = {}): Promise<PutOutcome> {
    return this.#call('', async () => {
      const { succeeded } = await this.#client.createIfNotExists({ metadata });
      return { outcome: succeeded ? 'created' : 'exists' };
    });
  }

  async exists(): Promise<boolean> {
    return this.#call('', () => this.#client.exists());
  }

  /** Container metadata, or undefined when there is no such container. */
  async metadata(): Promise<Readonly<Record<string, string>> | undefined> {
    return this.#orAbsent('', async () => (await this.#client.getProperties()).metadata ?? {});
  }

  /** Deletes the container with all in it, in one request. False when it was not there. */
  async deleteContainer(): Promise<boolean> {
    return this.#call('', async () => (await this.#client.deleteIfExists()).succeeded);
  }

  /** Writes the blob unless one of that name is there (`If-None-Match: *`): of two writers one wins. */
  async putIfAbsent(blob: string, bytes: Uint8Array | string, options: PutOptions = {}): Promise<PutOutcome> {
    try {
      await this.#upload(blob, bytes, options, { ifNoneMatch: '*' });
      return { outcome: 'created' };
    } catch (error) {
      if (error instanceof StorageError && (error.code === 'BlobAlreadyExists' || error.status === 412)) {
        return { outcome: 'exists' };
      }
      throw error;
    }
  }

  /** Writes the blob whatever is there, or only over the version `ifMatch`; false when that version is gone. */
  async put(
    blob: string,
    bytes: Uint8Array | string,
    options: PutOptions & { ifMatch?: string } = {},
  ): Promise<boolean> {
    const { ifMatch } = options;
    try {
      await this.#upload(blob, bytes, options, ifMatch === undefined ? {} : { ifMatch });
      return true;
    } catch (error) {
      if (ifMatch !== undefined && error instanceof StorageError && error.status === 412) return false;
      throw error;
    }
  }

  async #upload(
    blob: string,
    bytes: Uint8Array | string,
    options: PutOptions,
    conditions: { ifNoneMatch?: string; ifMatch?: string },
  ): Promise<void> {
    const body = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes;
    if (body.byteLength > singlePutLimitBytes) {
      throw new StorageError(this.#target(blob), 'TooLargeForOnePut', 413, `${body.byteLength} bytes: use putStream`);
    }
    const md5 = createHash('md5').update(body).digest();
    await this.#call(blob, () =>
      this.#client.getBlockBlobClient(blob).upload(body, body.byteLength, {
        conditions,
        transactionalContentMD5: md5,
        metadata: { ...options.metadata },
        blobHTTPHeaders: {
          blobContentType: options.contentType ?? 'application/octet-stream',
          blobContentMD5: md5,
        },
      }),
    );
  }

  /**
   * Streams a blob in blocks, each checked by its MD5; it appears whole or not at all, and only if none of that name is
   * there. Memory is bounded by 5 blocks of 4 MiB.
   */
  async putStreamIfAbsent(
    blob: string,
    stream: Readable,
    options: PutOptions = {},
    signal?: AbortSignal,
  ): Promise<PutOutcome> {
    try {
      await this.#call(blob, () =>
        uploadInBlocks(this.#client.getBlockBlobClient(blob), stream, {
          conditions: { ifNoneMatch: '*' },
          metadata: { ...options.metadata },
          headers: { blobContentType: options.contentType ?? 'application/octet-stream' },
          signal,
        }),
      );
      return { outcome: 'created' };
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (error.code === 'BlobAlreadyExists' || error.status === 412) return { outcome: 'exists' };
      // Another writer's commit drops the blocks of all others before the condition is looked at.
      if (error.code === 'InvalidBlockList' && (await this.head(blob)) !== undefined) return { outcome: 'exists' };
      throw error;
    }
  }

  /** The whole blob in memory (for small ones), or undefined when there is none. */
  async get(blob: string): Promise<BlobPayload | undefined> {
    return this.#orAbsent(blob, async () => {
      const client = this.#client.getBlockBlobClient(blob);
      const response = await client.download();
      const chunks: Buffer[] = [];
      for await (const chunk of response.readableStreamBody ?? []) chunks.push(Buffer.from(chunk));
      const bytes = Buffer.concat(chunks);
      return {
        name: blob,
        bytes,
        size: bytes.length,
        etag: response.etag ?? '',
        lastModified: response.lastModified ?? new Date(0),
        metadata: response.metadata ?? {},
      };
    });
  }

  /** A stream of the blob, or of `count` bytes from `offset`; undefined when there is none. */
  async openRead(
    blob: string,
    offset = 0,
    count?: number,
  ): Promise<{ stream: NodeJS.ReadableStream; size: number } | undefined> {
    return this.#orAbsent(blob, async () => {
      const response = await this.#client.getBlockBlobClient(blob).download(offset, count);
      if (response.readableStreamBody === undefined)
        throw new StorageError(this.#target(blob), 'NoBody', 0, 'no stream');
      return { stream: response.readableStreamBody, size: response.contentLength ?? 0 };
    });
  }

  async head(blob: string): Promise<BlobFacts | undefined> {
    return this.#orAbsent(blob, async () => {
      const properties = await this.#client.getBlockBlobClient(blob).getProperties();
      return {
        name: blob,
        size: properties.contentLength ?? 0,
        etag: properties.etag ?? '',
        lastModified: properties.lastModified ?? new Date(0),
        metadata: properties.metadata ?? {},
      };
    });
  }

  /**
   * Makes a blob young: rewrites its metadata, so that its ETag and time of change are new and whoever decided on an
   * earlier version finds another one. Unconditional on purpose (all touches write the same). `gone` when there is no
   * such blob any more.
   */
  async touch(facts: BlobFacts): Promise<'touched' | 'gone'> {
    const touched = await this.#orAbsent(facts.name, () =>
      this.#client.getBlockBlobClient(facts.name).setMetadata({ ...facts.metadata }),
    );
    return touched === undefined ? 'gone' : 'touched';
  }

  /** Blobs under a prefix in name order, page by page: memory does not grow with their number. */
  async *list(prefix = '', pageSize = 1000): AsyncGenerator<BlobEntry> {
    try {
      const pages = this.#client.listBlobsFlat({ prefix, includeMetadata: true }).byPage({ maxPageSize: pageSize });
      for await (const page of pages) {
        for (const item of page.segment.blobItems) {
          yield {
            name: item.name,
            size: item.properties.contentLength ?? 0,
            etag: quoted(item.properties.etag),
            lastModified: item.properties.lastModified,
            metadata: item.metadata ?? {},
          };
        }
      }
    } catch (error) {
      const translated = translateError(error, this.#target(prefix));
      if (translated instanceof StorageError && translated.code === 'ContainerNotFound') return;
      throw translated;
    }
  }

  /** Deletes a blob, or only its version `ifMatch`: `changed` when another version is there now. */
  async delete(blob: string, ifMatch?: string): Promise<'deleted' | 'absent' | 'changed'> {
    try {
      return await this.#call(blob, async () => {
        const conditions = ifMatch === undefined ? {} : { ifMatch };
        await this.#client.getBlockBlobClient(blob).delete({ conditions, deleteSnapshots: 'include' });
        return 'deleted' as const;
      });
    } catch (error) {
      if (error instanceof StorageError && error.status === 404) return 'absent';
      if (error instanceof StorageError && error.status === 412) return 'changed';
      throw error;
    }
  }

  #target(blob: string): string {
    return blob === '' ? this.name : `${this.name}/${blob}`;
  }

  async #call<T>(blob: string, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      throw translateError(error, this.#target(blob));
    }
  }

  async #orAbsent<T>(blob: string, operation: () => Promise<T>): Promise<T | undefined> {
    try {
      return await this.#call(blob, operation);
    } catch (error) {
      if (error instanceof StorageError && error.status === 404) return undefined;
      throw error;
    }
  }
}
