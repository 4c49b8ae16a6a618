import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import {
  parseContract,
  parseContractText,
  publishedSchema,
  resultPaths,
  resultSummarySchema,
  ContractError,
  sha256Hex,
  type AcceptedBundle,
  type Published,
  type ResultSummary,
  type RunRecord,
} from '@xva/contracts';
import { readBundle } from './bundles.ts';
import { swap, type StepResult, type SubmitDeps } from './deps.ts';
import { BundleError, ContentConflictError, ResultRefusedError } from './errors.ts';
import { learn } from './learn.ts';
import type { Blobs, StoredRun } from './ports.ts';
import { change, failed, reason, withReasons } from './record.ts';
import { summaryProblems } from './result-checks.ts';
import { labelsOf } from './task-specs.ts';
import { recordUsage } from './usage.ts';

function contentTypeOf(path: string): string {
  if (path.endsWith('.json')) return 'application/json';
  if (path.endsWith('.csv')) return 'text/csv';
  return path.endsWith('.parquet') ? 'application/vnd.apache.parquet' : 'application/octet-stream';
}

async function hashOf(results: Blobs, blob: string): Promise<string | undefined> {
  const opened = await results.openRead(blob);
  if (opened === undefined) return undefined;
  const hash = createHash('sha256');
  for await (const chunk of opened.stream) hash.update(chunk);
  return hash.digest('hex');
}

/** Copies the merge's files under the bundle's name; what is there already must be the same. */
async function copyFiles(
  deps: SubmitDeps,
  record: RunRecord,
  merged: AcceptedBundle,
): Promise<{ summary: ResultSummary; published: Published }> {
  const { results } = deps.ledger;
  const opened = await deps.work.runContainer(record.container).openRead(merged.blob);
  if (opened === undefined) throw new BundleError(merged.blob, 'it is gone');
  const metadata = labelsOf(record, 'result');
  const blobOf = (path: string): string => resultPaths.file(record.runId, merged.bundleId, path);
  const existed: string[] = [];
  let summaryText: string | undefined;
  const { bundle, sha256 } = await readBundle(merged.blob, opened.stream, {
    whole: async (path: string, bytes: Buffer) => {
      if (path === 'summary.json') summaryText = bytes.toString('utf8');
      const put = await results.putIfAbsent(blobOf(path), bytes, { contentType: contentTypeOf(path), metadata });
      if (put.outcome === 'exists') existed.push(path);
    },
    streamed: async (path: string, stream: Readable) => {
      const put = await results.putStreamIfAbsent(blobOf(path), stream, { contentType: contentTypeOf(path), metadata });
      stream.resume();
      if (put.outcome === 'exists') existed.push(path);
    },
  });
  if (sha256 !== merged.sha256)
    throw new BundleError(merged.blob, `its SHA-256 is ${sha256}, accepted was ${merged.sha256}`);
  const hashes = new Map(bundle.files.map((file) => [file.path, file.sha256]));
  await Promise.all(
    existed.map(async (path) => {
      if ((await hashOf(results, blobOf(path))) !== hashes.get(path)) throw new ContentConflictError(blobOf(path));
    }),
  );
  if (summaryText === undefined) throw new BundleError(merged.blob, 'it has no summary.json');
  const summary = parseContractText(resultSummarySchema, summaryText, 'summary.json');
  const published: Published = {
    schemaVersion: '1.0',
    runId: record.runId,
    eventId: record.eventId,
    packageId: record.packageId,
    attempt: merged.attempt,
    outcome: summary.outcome,
    bundleId: merged.bundleId,
    files: [...bundle.files]
      .sort((a, b) => (a.path < b.path ? -1 : 1))
      .map((file) => ({ name: file.path, blob: blobOf(file.path), size: file.size, sha256: file.sha256 })),
  };
  return { summary, published: parseContract(publishedSchema, published, 'published.json') };
}

/**
 * Writes the pointer unless there is one. One that an earlier publisher wrote stays, for a published result never
 * changes; it is returned, and the caller records that.
 */
async function writePointer(deps: SubmitDeps, record: RunRecord, published: Published): Promise<Published> {
  const { results } = deps.ledger;
  const blob = resultPaths.pointer(record.runId);
  const text = `${JSON.stringify(published, null, 1)}\n`;
  const metadata = labelsOf(record, 'result');
  const put = await results.putIfAbsent(blob, text, { contentType: 'application/json', metadata });
  if (put.outcome === 'created') return published;
  const there = await results.get(blob);
  return parseContractText(publishedSchema, Buffer.from(there?.bytes ?? '').toString('utf8'), blob);
}

/** Copies, checks, points, and says so: the reader sees all or nothing. The run's jobs are ended beside it. */
export async function stepPublishing(deps: SubmitDeps, run: StoredRun): Promise<StepResult> {
  const { record } = run;
  const { clock } = deps;
  const merged = record.merged;
  const end = (code: string, message: string): Promise<StepResult> =>
    swap(deps, run, failed(record, clock.now(), [reason(clock.now(), code, record.runId, message)]));
  if (merged === null) return end('no-merge', 'the record says publishing and names no merge');
  const manifest = await deps.manifests.get(record.packageId);
  if (manifest === undefined) return end('package-gone', 'the manifest is gone from the work account');
  let published: Published;
  try {
    const [copied] = await Promise.all([
      copyFiles(deps, record, merged),
      ...record.attempts.map((attempt) => deps.batch.terminateJob(attempt.jobId, 'merged')),
    ]);
    const problems = summaryProblems(copied.summary, record, manifest);
    if (problems.length > 0) throw new ResultRefusedError(problems);
    published = copied.published;
  } catch (error) {
    if (error instanceof ResultRefusedError) return end('result-refused', error.message);
    if (error instanceof ContractError) return end('result-not-valid', error.message);
    if (error instanceof BundleError || error instanceof ContentConflictError)
      return end('result-not-whole', error.message);
    throw error;
  }
  // The record is the fence: whoever is not the current attempt any more must not write the pointer.
  const current = await deps.runs.get(record.runId);
  if (current === undefined || current.etag !== run.etag) return { kind: 'stale' };
  const pointer = await writePointer(deps, record, published);
  const now = clock.now();
  const other =
    sha256Hex(JSON.stringify(pointer)) === sha256Hex(JSON.stringify(published))
      ? []
      : [
          reason(
            now,
            'published-before',
            record.runId,
            `attempt ${pointer.attempt} had published bundle ${pointer.bundleId}`,
          ),
        ];
  const finishedAt = now.toISOString();
  const next = change(record, now, {
    state: 'done',
    outcome: pointer.outcome,
    finishedAt,
    paused: null,
    held: false,
    attempts: record.attempts.map((attempt) => ({ ...attempt, endedAt: attempt.endedAt ?? finishedAt })),
    reasons: withReasons(record, other),
  });
  await recordUsage(deps, next, now);
  const written = await swap(deps, run, next);
  if (written.kind === 'moved') await learn(deps, manifest, next);
  return written;
}
