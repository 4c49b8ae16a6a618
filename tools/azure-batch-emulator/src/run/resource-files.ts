import { createWriteStream } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ResourceFile } from '../wire/specs.ts';
import { TaskFailureError } from './failure.ts';
import { IdentityDeniedError } from './identities.ts';
import { blobUrl, listBlobs, StorageError, type StorageClient, type StorageKey } from './storage.ts';
import { inParallel, withRetries } from './transfer.ts';

export interface Downloads {
  readonly client: StorageClient;
  /** @throws IdentityDeniedError */
  readonly keyFor: (file: ResourceFile, url: URL) => StorageKey | undefined;
  readonly signal: AbortSignal;
}

interface Download {
  readonly url: URL;
  readonly key: StorageKey | undefined;
  readonly target: string;
  readonly mode: number;
}

const width = 8;
const attempts = 4;
const defaultMode = 0o770;

export function transient(error: unknown): boolean {
  return (
    error instanceof StorageError && (error.status === 0 || [408, 429].includes(error.status) || error.status >= 500)
  );
}

/** A file's place below the working directory. @throws TaskFailureError when it would escape it */
export function placeBelow(directory: string, path: string): string {
  const target = resolve(directory, path);
  if (!target.startsWith(directory + sep)) {
    throw new TaskFailureError('UserError', 'ResourceFileCreateFailed', 'The resource file lies outside the task.', {
      FilePath: path,
    });
  }
  return target;
}

/** The failure that a task shows for a download that did not work. */
export function downloadFailure(error: unknown, url: URL): TaskFailureError {
  if (error instanceof TaskFailureError) return error;
  const details = {
    HttpUrl: `${url.origin}${url.pathname}`,
    Reason: error instanceof Error ? error.message : String(error),
  };
  if (error instanceof IdentityDeniedError) {
    return new TaskFailureError(
      'UserError',
      'BlobAccessDenied',
      'Access to a specified Azure Blob(s) is denied',
      details,
    );
  }
  if (error instanceof StorageError && (error.status === 404 || error.code === 'ContainerNotFound')) {
    return new TaskFailureError(
      'UserError',
      'BlobNotFound',
      'One of the specified Azure Blob(s) is not found',
      details,
    );
  }
  if (error instanceof StorageError && (error.status === 401 || error.status === 403)) {
    return new TaskFailureError(
      'UserError',
      'BlobAccessDenied',
      'Access to a specified Azure Blob(s) is denied',
      details,
    );
  }
  if (error instanceof StorageError) {
    return new TaskFailureError('ServerError', 'BlobDownloadMiscError', 'A blob could not be downloaded', details);
  }
  const full = (error as NodeJS.ErrnoException | null)?.code === 'ENOSPC';
  return full
    ? new TaskFailureError('ServerError', 'DiskFull', 'The disk of the node is full', details)
    : new TaskFailureError('ServerError', 'ResourceFileWriteFailed', 'A resource file could not be written', details);
}

function urlOf(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new TaskFailureError('UserError', 'InvalidResourceFileUrl', 'The URL of a resource file is invalid', {
      Url: text,
    });
  }
}

async function expand(file: ResourceFile, directory: string, downloads: Downloads): Promise<readonly Download[]> {
  const mode = file.fileMode === undefined ? defaultMode : Number.parseInt(file.fileMode, 8);
  if (file.httpUrl !== undefined) {
    const url = urlOf(file.httpUrl);
    try {
      return [{ url, key: downloads.keyFor(file, url), target: placeBelow(directory, file.filePath ?? ''), mode }];
    } catch (error) {
      throw downloadFailure(error, url);
    }
  }
  const container = file.storageContainerUrl ?? '';
  const url = urlOf(container);
  try {
    const key = downloads.keyFor(file, url);
    const names = await withRetries(transient, downloads.signal, attempts, () =>
      listBlobs(downloads.client, container, file.blobPrefix ?? '', key, downloads.signal),
    );
    return names.map((name) => ({
      url: blobUrl(container, name),
      key,
      target: placeBelow(directory, `${file.filePath === undefined ? '' : `${file.filePath}/`}${name}`),
      mode,
    }));
  } catch (error) {
    throw downloadFailure(error, url);
  }
}

async function download(item: Download, downloads: Downloads): Promise<void> {
  await mkdir(dirname(item.target), { recursive: true });
  await withRetries(transient, downloads.signal, attempts, async () => {
    const response = await downloads.client.send({
      method: 'GET',
      url: item.url,
      key: item.key,
      signal: downloads.signal,
    });
    const expected = response.headers['content-length'];
    let received = 0;
    response.on('data', (chunk: Buffer) => (received += chunk.length));
    await pipeline(response, createWriteStream(item.target)).catch((error: unknown) => {
      const broken = (error as NodeJS.ErrnoException).code;
      throw broken === 'ECONNRESET' || broken === 'ERR_STREAM_PREMATURE_CLOSE'
        ? new StorageError(0, 'ConnectionError', 'the connection broke while a blob was read')
        : error;
    });
    if (expected !== undefined && Number(expected) !== received) {
      throw new StorageError(0, 'ShortBody', `${received} of ${expected} bytes came`);
    }
  });
  await chmod(item.target, item.mode);
}

/**
 * Brings a task's resource files into its working directory, several at a time.
 *
 * @throws TaskFailureError with the code that the task's failureInfo shows
 */
export async function fetchResourceFiles(
  files: readonly ResourceFile[],
  directory: string,
  downloads: Downloads,
): Promise<void> {
  const lists: (readonly Download[])[] = [];
  for (const file of files) lists.push(await expand(file, directory, downloads));
  await inParallel(lists.flat(), width, async (item) => {
    try {
      await download(item, downloads);
    } catch (error) {
      await rm(item.target, { force: true });
      throw downloadFailure(error, item.url);
    }
  });
}
