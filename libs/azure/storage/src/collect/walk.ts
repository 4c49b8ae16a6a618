import type { ContainerClient, ContainerListBlobsOptions } from '@azure/storage-blob';
import { StorageError, translateError } from '../errors.ts';
import type { Gate } from './gate.ts';
import { withPage, type ListedBlob } from './listing-xml.ts';
import { mergeStreams } from './merge.ts';

/** What a listing says of a blob. */
export interface WalkedBlob {
  readonly name: string;
  readonly size: number;
  readonly etag: string;
  readonly lastModified: Date;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  /** When it was last read; undefined where the account does not keep track. */
  readonly lastAccessed: Date | undefined;
  /** Why it must stay whatever a policy says. */
  readonly hold: 'legal-hold' | 'immutable' | 'leased' | undefined;
}

export interface WalkOptions {
  readonly prefix?: string | undefined;
  /**
   * How a listing of more than one page is parted: `folders` by `/`, `hex` by the next character of names that are
   * hashes (and every other printable character, so that strangers are seen too), `none` not at all.
   */
  readonly split?: 'folders' | 'hex' | 'none' | undefined;
  /** Blob index tags too (needs the right to read them). */
  readonly tags?: boolean | undefined;
  readonly pageSize?: number | undefined;
  readonly parallelism?: number | undefined;
  readonly now?: Date | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Walker {
  readonly client: ContainerClient;
  readonly gate: Gate;
}

interface Page {
  readonly blobs: readonly WalkedBlob[];
  readonly next: string | undefined;
}

const hexDigits = Array.from({ length: 16 }, (_unused, digit) => digit.toString(16));
/** Printable ASCII but hex digits; `\` and `/` are legal in names too. */
const otherStarts = Array.from({ length: 95 }, (_unused, index) => String.fromCharCode(32 + index)).filter(
  (character) => !hexDigits.includes(character),
);

function toWalked(listed: ListedBlob, now: Date): WalkedBlob {
  const { name, size, etag, lastModified, metadata, tags, lastAccessed, legalHold, immutableUntil, leased } = listed;
  const immutable = immutableUntil !== undefined && immutableUntil > now;
  const hold = legalHold ? 'legal-hold' : immutable ? 'immutable' : leased ? 'leased' : undefined;
  return { name, size, etag, lastModified, metadata, tags, lastAccessed, hold };
}

function listOptions(options: WalkOptions, prefix: string): ContainerListBlobsOptions {
  return {
    prefix,
    includeMetadata: true,
    ...(options.tags === true ? { includeTags: true } : {}),
    ...(options.signal === undefined ? {} : { abortSignal: options.signal }),
  };
}

/** One page, tried again as the gate says; no page when the container is not (or no longer) there. */
async function page(walker: Walker, options: WalkOptions, prefix: string, token?: string): Promise<Page> {
  const { client, gate } = walker;
  const settings = {
    maxPageSize: options.pageSize ?? 1000,
    ...(token === undefined ? {} : { continuationToken: token }),
  };
  try {
    return await gate.run(async () => {
      try {
        const { answer, page: read } = await withPage(() =>
          client.listBlobsFlat(listOptions(options, prefix)).byPage(settings).next(),
        );
        const now = options.now ?? new Date();
        const next = answer.done === true ? undefined : answer.value.continuationToken;
        return { blobs: read.blobs.map((blob) => toWalked(blob, now)), next: next === '' ? undefined : next };
      } catch (error) {
        throw translateError(error, `${client.containerName}/${prefix}`);
      }
    }, options.signal);
  } catch (error) {
    const gone = error instanceof StorageError && ['ContainerNotFound', 'ContainerBeingDeleted'].includes(error.code);
    if (gone) return { blobs: [], next: undefined };
    throw error;
  }
}

async function* flat(walker: Walker, options: WalkOptions, prefix: string): AsyncGenerator<readonly WalkedBlob[]> {
  for (let token: string | undefined = ''; token !== undefined;) {
    const found: Page = await page(walker, options, prefix, token === '' ? undefined : token);
    if (found.blobs.length > 0) yield found.blobs;
    token = found.next;
  }
}

/** The folders under a prefix, page by page, and the blobs that lie in none. */
async function* folders(
  walker: Walker,
  options: WalkOptions,
  prefix: string,
): AsyncGenerator<{ readonly folders: readonly string[]; readonly blobs: readonly WalkedBlob[] }> {
  const { client, gate } = walker;
  for (let token: string | undefined = ''; token !== undefined;) {
    const given: string = token;
    const found = await gate.run(async () => {
      try {
        const settings = {
          maxPageSize: options.pageSize ?? 1000,
          ...(given === '' ? {} : { continuationToken: given }),
        };
        return await withPage(() =>
          client.listBlobsByHierarchy('/', listOptions(options, prefix)).byPage(settings).next(),
        );
      } catch (error) {
        const translated = translateError(error, `${client.containerName}/${prefix}`);
        if (translated instanceof StorageError && translated.code === 'ContainerNotFound') return undefined;
        throw translated;
      }
    }, options.signal);
    if (found === undefined) return;
    const now = options.now ?? new Date();
    const { page: read, answer } = found;
    yield { folders: read.folders, blobs: read.blobs.map((blob) => toWalked(blob, now)) };
    const next = answer.done === true ? undefined : answer.value.continuationToken;
    token = next === '' ? undefined : next;
  }
}

/**
 * Every blob under a prefix, in pages and in no order, several parts at once when there is more than one page. Memory: the
 * pages that are under way. A container that is not there, or goes meanwhile, has no (more) blobs.
 */
export async function* walk(walker: Walker, options: WalkOptions = {}): AsyncGenerator<readonly WalkedBlob[]> {
  const prefix = options.prefix ?? '';
  const split = options.split ?? 'none';
  const parallelism = options.parallelism ?? 8;
  const first = await page(walker, options, prefix);
  if (first.next === undefined || split === 'none') {
    if (first.blobs.length > 0) yield first.blobs;
    if (first.next === undefined) return;
    for (let token: string | undefined = first.next; token !== undefined;) {
      const found: Page = await page(walker, options, prefix, token);
      if (found.blobs.length > 0) yield found.blobs;
      token = found.next;
    }
    return;
  }
  if (split === 'hex') {
    const parts = [...hexDigits, ...otherStarts].map((start) => () => flat(walker, options, `${prefix}${start}`));
    yield* mergeStreams(parts, parallelism);
    return;
  }
  for await (const level of folders(walker, options, prefix)) {
    if (level.blobs.length > 0) yield level.blobs;
    yield* mergeStreams(
      level.folders.map((folder) => () => flat(walker, options, folder)),
      parallelism,
    );
  }
}
