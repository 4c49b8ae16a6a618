import { createHash, randomUUID } from 'node:crypto';
import type { BlobHTTPHeaders, BlobRequestConditions, BlockBlobClient } from '@azure/storage-blob';

const blockBytes = 4 * 1024 * 1024;
const blocksInFlight = 4;

export interface BlockUpload {
  readonly conditions: BlobRequestConditions;
  readonly metadata: Readonly<Record<string, string>>;
  readonly headers: BlobHTTPHeaders;
  readonly signal: AbortSignal | undefined;
}

/**
 * Sends a stream in blocks, a few at once, each with an MD5 that the service compares; the blob appears with the list of
 * its blocks, under the conditions, or not at all. Blocks of an upload that never ended are dropped by the service after
 * a week, or when the blob is written. Memory: `blocksInFlight` + 1 blocks.
 */
export async function uploadInBlocks(
  client: BlockBlobClient,
  stream: AsyncIterable<Uint8Array>,
  upload: BlockUpload,
): Promise<void> {
  const abort = new AbortController();
  const signal = upload.signal === undefined ? abort.signal : AbortSignal.any([abort.signal, upload.signal]);
  const whole = createHash('md5');
  const own = randomUUID();
  const ids: string[] = [];
  const flying = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const block of blocksOf(stream)) {
      if (failure !== undefined) break;
      whole.update(block);
      const id = Buffer.from(`${own}-${String(ids.length).padStart(6, '0')}`).toString('base64');
      ids.push(id);
      const transactionalContentMD5 = createHash('md5').update(block).digest();
      const staged: Promise<void> = client
        .stageBlock(id, block, block.length, { transactionalContentMD5, abortSignal: signal })
        .then(
          () => undefined,
          (error: unknown) => {
            failure ??= { error };
          },
        )
        .finally(() => flying.delete(staged));
      flying.add(staged);
      if (flying.size >= blocksInFlight) await Promise.race(flying);
    }
    await Promise.all(flying);
  } catch (error) {
    failure ??= { error };
  }
  if (failure !== undefined) {
    abort.abort();
    await Promise.all(flying);
    throw failure.error;
  }
  await client.commitBlockList(ids, {
    conditions: upload.conditions,
    metadata: { ...upload.metadata },
    blobHTTPHeaders: { ...upload.headers, blobContentMD5: whole.digest() },
    abortSignal: signal,
  });
}

/** The stream cut into blocks of one size, the last one shorter. */
async function* blocksOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let block = Buffer.allocUnsafeSlow(blockBytes);
  let filled = 0;
  for await (const chunk of stream) {
    let from = 0;
    while (from < chunk.length) {
      const count = Math.min(chunk.length - from, blockBytes - filled);
      block.set(chunk.subarray(from, from + count), filled);
      filled += count;
      from += count;
      if (filled < blockBytes) continue;
      yield block;
      block = Buffer.allocUnsafeSlow(blockBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}
