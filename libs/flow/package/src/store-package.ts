import type { Part } from '@xva/contracts';
import { checkPart } from './check-part.ts';
import type { Bulkhead } from './bulkhead.ts';
import type { CrashPoint } from './crash-points.ts';
import { StepFailure } from './failures.ts';
import type { CallContext, InputApiPort, WorkObjects } from './ports.ts';
import type { VerifiedPackage } from './verify-manifest.ts';

export interface StoredPackage {
  readonly uploaded: number;
  readonly uploadedBytes: number;
  readonly reused: number;
}

export interface StoreTools {
  readonly objects: WorkObjects;
  readonly openPart: (...part: Parameters<InputApiPort['openPart']>) => AsyncIterable<Uint8Array>;
  /** Parts looked up or in transfer at once, over all events, and of these the large ones. */
  readonly transfers: Bulkhead;
  readonly largeParts: Bulkhead;
  /** Parts up to this size go in one request, from memory; larger ones as a stream. */
  readonly smallPartBytes: number;
  readonly crashPoint: (name: CrashPoint) => void;
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
      bulkheadOf(part, tools)
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
  tools.crashPoint('beforeManifest');
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

/** Large parts wait for one another first and hold no place of the small ones meanwhile. */
function bulkheadOf({ size }: Part, { transfers, largeParts, smallPartBytes }: StoreTools): Pick<Bulkhead, 'run'> {
  if (size <= smallPartBytes) return transfers;
  return { run: (operation, signal) => largeParts.run(() => transfers.run(operation, signal), signal) };
}

async function storePart(
  part: Part,
  packageId: string,
  tools: StoreTools,
  context: CallContext,
): Promise<'uploaded' | 'reused'> {
  const { objects, crashPoint } = tools;
  const stored = await objects.findObject(part.sha256);
  if (stored !== undefined) {
    if (stored.size !== part.size) {
      const message = `object ${part.sha256} has ${stored.size} bytes, ${part.path} says ${part.size}`;
      throw new StepFailure('poison', 'object-differs', message);
    }
    if ((await stored.touch()) === 'touched') return 'reused';
  }
  context.signal.throwIfAborted();
  crashPoint('beforePart');
  const chunks = checkPart(part, watched(part, tools.openPart(packageId, part.sha256, context), tools));
  const outcome =
    part.size <= tools.smallPartBytes
      ? await objects.putObject(part.sha256, await collect(chunks, part.size))
      : await objects.putObjectStream(part.sha256, chunks, context.signal);
  crashPoint('afterPart');
  return outcome === 'created' ? 'uploaded' : 'reused';
}

/** The chunks as they are, with the crash points that lie between them. */
async function* watched(
  part: Part,
  chunks: AsyncIterable<Uint8Array>,
  { crashPoint, smallPartBytes }: StoreTools,
): AsyncGenerator<Uint8Array> {
  let passed = 0;
  for await (const chunk of chunks) {
    yield chunk;
    if (passed === 0) crashPoint('midPart');
    passed += chunk.length;
    // Past the end of the last but one block: all before it were sent, none of them is committed.
    if (part.size > smallPartBytes && passed > part.size * 0.9) crashPoint('midUpload');
  }
}

async function collect(chunks: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const all = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for await (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
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
