import { createHmac, createSecretKey, randomUUID, type KeyObject } from 'node:crypto';
import { BlobBatch } from '@azure/storage-blob';
import type { TokenCredential } from '@azure/identity';
import type { BlobVersion } from './batch-delete.ts';

/** How the parts of a batch prove who sends them; each carries its own proof (Blob Batch, authorization). */
export type PartSigner = (
  requests: readonly { readonly path: string; readonly etag: string | undefined }[],
  date: string,
) => Promise<readonly string[]>;

/** `Authorization` by shared key over the string to sign of "Authorize with Shared Key", version 2015-02-21 and later. */
export function sharedKeySigner(account: string, keyBase64: string): PartSigner {
  const key: KeyObject = createSecretKey(keyBase64, 'base64');
  return (requests, date) =>
    Promise.resolve(
      requests.map(({ path, etag = '' }) => {
        // Verb, seven headers that are not sent, If-Modified-Since, If-Match and three more; then ours, then the resource.
        const text = `DELETE\n\n\n\n\n\n\n\n${etag}\n\n\n\nx-ms-date:${date}\nx-ms-delete-snapshots:include\n/${account}${path}`;
        return `SharedKey ${account}:${createHmac('sha256', key).update(text, 'utf8').digest('base64')}`;
      }),
    );
}

/** `Authorization` with the token of an Entra identity. */
export function tokenSigner(credential: TokenCredential): PartSigner {
  return async (requests) => {
    const token = await credential.getToken('https://storage.azure.com/.default');
    return requests.map(() => `Bearer ${token?.token ?? ''}`);
  };
}

/**
 * A batch of deletions whose body is written here: the client's own way builds a whole pipeline per part (130 µs each).
 * Sending it and reading the answers stay the client's.
 */
export class DirectBatch extends BlobBatch {
  readonly #boundary = `batch_${randomUUID()}`;
  readonly #body: string;
  readonly #parts: ReadonlyMap<number, { url: string; credential: never }>;

  private constructor(parts: readonly string[], paths: readonly string[], boundary: string) {
    super();
    this.#boundary = boundary;
    this.#body = `${parts.join('')}--${boundary}--\r\n`;
    this.#parts = new Map(paths.map((url, index) => [index, { url, credential: undefined as never }]));
  }

  /** @param containerPath path of the container's URL, such as `/objects` or (Azurite) `/devstoreaccount1/objects` */
  static async of(
    containerPath: string,
    blobs: readonly BlobVersion[],
    signer: PartSigner,
    now: Date,
  ): Promise<DirectBatch> {
    const boundary = `batch_${randomUUID()}`;
    const date = now.toUTCString();
    const requests = blobs.map(({ name, etag }) => ({
      path: `${containerPath}/${encodeURIComponent(name).replaceAll('%2F', '/')}`,
      etag,
    }));
    const proofs = await signer(requests, date);
    const parts = requests.map(({ path, etag }, index) => {
      const head = `--${boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: ${index}\r\n\r\n`;
      const condition = etag === undefined ? '' : `If-Match: ${etag}\r\n`;
      return `${head}DELETE ${path} HTTP/1.1\r\n${condition}x-ms-delete-snapshots: include\r\nx-ms-date: ${date}\r\nAuthorization: ${proofs[index] ?? ''}\r\n\r\n`;
    });
    return new DirectBatch(
      parts,
      requests.map(({ path }) => path),
      boundary,
    );
  }

  override getMultiPartContentType(): string {
    return `multipart/mixed; boundary=${this.#boundary}`;
  }

  override getHttpRequestBody(): string {
    return this.#body;
  }

  override getSubRequests(): Map<number, { url: string; credential: never }> {
    return new Map(this.#parts);
  }
}
