import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { OutputFile } from '../wire/specs.ts';
import { TaskFailureError } from './failure.ts';
import { findFiles, hasWildcard, type Match } from './glob.ts';
import { IdentityDeniedError } from './identities.ts';
import { transient } from './resource-files.ts';
import { blobUrl, StorageError, type StorageClient, type StorageKey } from './storage.ts';
import { inParallel, withRetries } from './transfer.ts';

export interface Uploads {
  readonly client: StorageClient;
  /** @throws IdentityDeniedError */
  readonly keyFor: (file: OutputFile, url: URL) => StorageKey | undefined;
  readonly signal: AbortSignal;
  /** Called before each blob; a fault may throw. */
  readonly before: (blob: string) => Promise<void>;
}

const width = 4;
const attempts = 4;
const singleShotBytes = 8 * 1024 * 1024;
const blockBytes = 8 * 1024 * 1024;

/** The blob that a matched file becomes: a wildcard's destination path is a prefix, otherwise it is the name. */
export function blobName(pattern: string, path: string | undefined, match: Match): string {
  const prefix = (path ?? '').replace(/^\/+|\/+$/g, '');
  if (!hasWildcard(pattern)) return prefix === '' ? match.name : prefix;
  return prefix === '' ? match.name : `${prefix}/${match.name}`;
}

/** Replaces `$NAME` and `${NAME}` by the task's environment, as the agent does in patterns. */
export function expandVariables(pattern: string, environment: Readonly<Record<string, string>>): string {
  return pattern.replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced?: string, bare?: string) => {
    const name = braced ?? bare ?? '';
    return Object.hasOwn(environment, name) ? (environment[name] ?? '') : whole;
  });
}

function uploadFailure(error: unknown, url: URL, file: string): TaskFailureError {
  if (error instanceof TaskFailureError) return error;
  const details = {
    FilePath: file,
    ContainerUrl: `${url.origin}${url.pathname}`,
    Reason: error instanceof Error ? error.message : String(error),
  };
  if (error instanceof IdentityDeniedError || (error instanceof StorageError && [401, 403].includes(error.status))) {
    return new TaskFailureError(
      'UserError',
      'FileUploadAccessDenied',
      'Access to the output container is denied',
      details,
    );
  }
  if (error instanceof StorageError && error.status === 404) {
    return new TaskFailureError(
      'UserError',
      'FileUploadContainerNotFound',
      'The output container is not found',
      details,
    );
  }
  return new TaskFailureError('ServerError', 'FileUploadMiscError', 'A file could not be uploaded', details);
}

async function uploadBlob(
  file: string,
  url: URL,
  key: StorageKey | undefined,
  output: OutputFile,
  uploads: Uploads,
): Promise<void> {
  const { client, signal } = uploads;
  const { size } = await stat(file);
  const version = key === undefined ? { 'x-ms-version': '2021-12-02' } : {};
  const properties: Record<string, string> = {};
  for (const { name, value } of output.destination.container.uploadHeaders ?? [])
    properties[name.toLowerCase()] = value ?? '';
  const again = <T>(work: () => Promise<T>): Promise<T> => withRetries(transient, signal, attempts, work);
  if (size <= singleShotBytes) {
    const headers = { ...version, ...properties, 'x-ms-blob-type': 'BlockBlob' };
    await again(async () => {
      const body = size === 0 ? Buffer.alloc(0) : { stream: createReadStream(file, { end: size - 1 }), length: size };
      (await client.send({ method: 'PUT', url, key, headers, body, signal })).resume();
    });
    return;
  }
  const count = Math.ceil(size / blockBytes);
  const ids = Array.from({ length: count }, (_, index) =>
    Buffer.from(String(index).padStart(8, '0')).toString('base64'),
  );
  const handle = await open(file);
  try {
    await inParallel([...ids.entries()], width, async ([index, id]) => {
      const length = Math.min(blockBytes, size - index * blockBytes);
      const body = Buffer.alloc(length);
      await handle.read(body, 0, length, index * blockBytes);
      const blockUrl = new URL(url);
      blockUrl.searchParams.set('comp', 'block');
      blockUrl.searchParams.set('blockid', id);
      await again(async () =>
        (await client.send({ method: 'PUT', url: blockUrl, key, headers: version, body, signal })).resume(),
      );
    });
  } finally {
    await handle.close();
  }
  const listUrl = new URL(url);
  listUrl.searchParams.set('comp', 'blocklist');
  const blocks = ids.map((id) => `<Latest>${id}</Latest>`).join('');
  const body = Buffer.from(`<?xml version="1.0" encoding="utf-8"?><BlockList>${blocks}</BlockList>`);
  const headers = { ...version, ...properties };
  await again(async () => (await client.send({ method: 'PUT', url: listUrl, key, headers, body, signal })).resume());
}

/**
 * Uploads what a task left, for the conditions that hold. A pattern that matches nothing uploads nothing.
 *
 * @param succeeded whether the process ended with exit code 0
 * @throws TaskFailureError with the code that the task's failureInfo shows
 */
export async function uploadOutputFiles(
  files: readonly OutputFile[],
  succeeded: boolean,
  place: {
    readonly workingDirectory: string;
    readonly taskDirectory: string;
    readonly environment: Readonly<Record<string, string>>;
  },
  uploads: Uploads,
): Promise<void> {
  const wanted = succeeded ? 'tasksuccess' : 'taskfailure';
  for (const output of files) {
    const condition = output.uploadOptions.uploadCondition;
    if (condition !== 'taskcompletion' && condition !== wanted) continue;
    const { containerUrl, path } = output.destination.container;
    const pattern = expandVariables(output.filePattern, place.environment);
    const found = await findFiles(pattern, place.workingDirectory, place.taskDirectory);
    await inParallel(found, width, async (match) => {
      let url: URL | undefined;
      try {
        url = blobUrl(containerUrl, blobName(pattern, path, match));
        await uploads.before(url.pathname);
        await uploadBlob(match.file, url, uploads.keyFor(output, url), output, uploads);
      } catch (error) {
        throw uploadFailure(error, url ?? new URL('about:blank'), match.name);
      }
    });
  }
}
