import type { Part } from '@xva/contracts';
import { checkPart } from './check-part.ts';
import { StepFailure } from './failures.ts';
import type { CallContext, InputApiPort, WorkObjects } from './ports.ts';
import type { Bulkhead } from './bulkhead.ts';
import type { VerifiedPackage } from './verify-manifest.ts';

export interface StoredPackage {
  readonly uploaded: number;
  readonly uploadedBytes: number;
  readonly reused: number;
}

export interface StoreTools {
  readonly objects: WorkObjects;
  readonly inputApi: InputApiPort;
  /** Parts in transfer at once, over all events. */
  readonly transfers: Bulkhead;
  /** Parts up to this size go in one request, from memory; larger ones as a stream. */
  readonly smallPartBytes: number;
}

/**
 * Stores what Storage lacks and then, last, the manifest: a manifest that is there means that all its parts are.
 * Existence is asked every time and never remembered, since a collector may have been there.
 *
 * @throws StepFailure
 */
export async function storePackage(
  found: VerifiedPackage,
  tools: StoreTools,
  context: CallContext,
): Promise<StoredPackage> {
  const unique = [...new Map(found.manifest.parts.map((part) => [part.sha256, part])).values()];
  // One failure ends the others: nothing of this package goes on in the background.
  const cancel = new AbortController();
  const signal = AbortSignal.any([context.signal, cancel.signal]);
  const results = await Promise.allSettled(
    unique.map((part) =>
      tools.transfers
        .run(() => storePart(part, found.packageId, tools, { ...context, signal }), signal)
        .catch((error: unknown) => {
          cancel.abort();
          throw error;
        }),
    ),
  );
  context.signal.throwIfAborted();
  const failed = results.filter((result) => result.status === 'rejected').map((result) => result.reason as unknown);
  if (failed.length > 0) throw failed.find((reason) => reason instanceof StepFailure) ?? failed[0];
  await storeManifest(found, tools.objects);
  const uploads = unique.filter((_part, index) => {
    const result = results[index];
    return result?.status === 'fulfilled' && result.value === 'uploaded';
  });
  return {
    uploaded: uploads.length,
    uploadedBytes: uploads.reduce((sum, part) => sum + part.size, 0),
    reused: unique.length - uploads.length,
  };
}

async function storePart(
  part: Part,
  packageId: string,
  tools: StoreTools,
  context: CallContext,
): Promise<'uploaded' | 'reused'> {
  const { objects, inputApi } = tools;
  const stored = await objects.findObject(part.sha256);
  if (stored !== undefined) {
    if (stored.size !== part.size) {
      const message = `object ${part.sha256} has ${stored.size} bytes, ${part.path} says ${part.size}`;
      throw new StepFailure('poison', 'object-differs', message);
    }
    if ((await stored.touch()) === 'touched') return 'reused';
  }
  context.signal.throwIfAborted();
  const chunks = checkPart(part, await inputApi.openPart(packageId, part.sha256, context));
  const outcome =
    part.size <= tools.smallPartBytes
      ? await objects.putObject(part.sha256, await collect(chunks))
      : await objects.putObjectStream(part.sha256, chunks, context.signal);
  return outcome === 'created' ? 'uploaded' : 'reused';
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

async function storeManifest(found: VerifiedPackage, objects: WorkObjects): Promise<void> {
  while ((await objects.putObject(found.packageId, found.bytes)) === 'exists') {
    const stored = await objects.findObject(found.packageId);
    if (stored === undefined) continue;
    if (stored.size !== found.bytes.length) {
      throw new StepFailure('poison', 'object-differs', `object ${found.packageId} is not the manifest of that hash`);
    }
    if ((await stored.touch()) === 'touched') return;
  }
}
