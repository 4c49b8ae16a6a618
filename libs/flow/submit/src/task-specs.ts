import {
  canonicalJson,
  runPaths,
  shardSpecSchema,
  traceLabel,
  type Manifest,
  type MergeSpec,
  type RetentionLabels,
  type RunRecord,
  type ShardSpec,
} from '@xva/contracts';
import type { SubmitPolicy } from './policy.ts';
import type { Blobs, JobSpec, TaskSpec, WorkStorage } from './ports.ts';
import { openShards } from './record.ts';

/** Task environment and job metadata that may differ between two submissions of the same content. */
export const varyingNames = ['TRACEPARENT', traceLabel] as const;

export function labelsOf(
  record: RunRecord,
  kind: RetentionLabels['xva_class'],
): { readonly xva_class: RetentionLabels['xva_class']; readonly xva_run_id: string; readonly xva_event_id: string } {
  return { xva_class: kind, xva_run_id: record.runId, xva_event_id: record.eventId };
}

/** The current attempt's job. No secret and nothing that varies but the trace is in its metadata. */
export function jobSpecOf(record: RunRecord, policy: SubmitPolicy): JobSpec {
  const current = record.attempts.at(-1);
  if (current === undefined) throw new Error(`run ${record.runId} has no attempt`);
  const { book, asOf, cut, scenario, revision } = record.requestKey;
  return {
    id: current.jobId,
    poolId: current.poolId,
    displayName: `${book} ${asOf} ${cut} ${scenario} r${revision}`,
    priority: record.priority,
    metadata: {
      ...labelsOf(record, 'task-input'),
      xva_package_id: record.packageId,
      xva_attempt: String(current.attempt),
      ...(record.traceparent === null ? {} : { [traceLabel]: record.traceparent }),
    },
    maxWallClockTime: policy.jobMaxWallClockTime,
  };
}

/** What is written to a task's `task.json`: canonical, so that a second writer writes the same bytes. */
export interface TaskFile {
  readonly taskId: string;
  readonly blob: string;
  readonly text: string;
}

function commonOf(record: RunRecord) {
  return {
    schemaVersion: '1.0' as const,
    runId: record.runId,
    eventId: record.eventId,
    attempt: record.attempt,
    packageId: record.packageId,
    sharedInputHash: record.plan.sharedInputHash,
  };
}

export function shardSpecs(record: RunRecord, manifest: Manifest): readonly ShardSpec[] {
  return openShards(record).map((shard) =>
    shardSpecSchema.parse({
      ...commonOf(record),
      taskId: shard.taskId,
      kind: 'shard',
      parts: manifest.parts,
      nettingSets: shard.nettingSets,
    }),
  );
}

const manifestPath = 'manifest.json';

/** The merge of a run whose shards are all accepted: it follows from the record alone. */
export function mergeSpec(record: RunRecord): MergeSpec {
  const setsOf = new Map(record.plan.shards.map((shard) => [shard.taskId, shard.nettingSets]));
  return {
    ...commonOf(record),
    taskId: 'merge',
    kind: 'merge',
    manifestPath,
    bundles: record.accepted.map(({ taskId, attempt, bundleId, sha256 }) => ({
      taskId,
      attempt,
      bundleId,
      path: `bundles/${taskId}/bundle-${bundleId}.tar`,
      sha256,
      nettingSets: setsOf.get(taskId) ?? [],
    })),
  };
}

export function taskFileOf(spec: ShardSpec | MergeSpec): TaskFile {
  return {
    taskId: spec.taskId,
    blob: runPaths.taskSpec(spec.attempt, spec.taskId),
    text: canonicalJson(spec),
  };
}

/** The Batch task of a spec: files in and out by URL, the command without a shell, ids in its environment. */
export function batchTaskOf(
  spec: ShardSpec | MergeSpec,
  record: RunRecord,
  policy: SubmitPolicy,
  work: Pick<WorkStorage, 'objects'> & { readonly container: Blobs },
): TaskSpec {
  const { objects, container } = work;
  const out = runPaths.taskOut(spec.attempt, spec.taskId);
  const logs = runPaths.taskLogs(spec.attempt, spec.taskId);
  const containerUrl = container.url();
  const inputs =
    spec.kind === 'shard'
      ? spec.parts.map((part) => ({ httpUrl: objects.url(part.sha256), filePath: part.path }))
      : [
          { httpUrl: objects.url(record.packageId), filePath: spec.manifestPath },
          ...spec.bundles.map((bundle) => ({
            httpUrl: container.url(record.accepted.find((found) => found.taskId === bundle.taskId)?.blob ?? ''),
            filePath: bundle.path,
          })),
        ];
  const keep = (filePattern: string, path: string) =>
    ({ filePattern, containerUrl, path, condition: 'taskcompletion' }) as const;
  return {
    id: spec.taskId,
    commandLine: `${policy.engineCommand} ${spec.kind === 'shard' ? 'run' : 'merge'} --task task.json --root . --out out`,
    image: policy.image,
    resourceFiles: [
      { httpUrl: container.url(runPaths.taskSpec(spec.attempt, spec.taskId)), filePath: 'task.json' },
      ...inputs,
    ],
    outputFiles: [
      { filePattern: 'out/bundle-*.tar', containerUrl, path: out, condition: 'tasksuccess' },
      keep('out/report-*.json', out),
      keep('../stdout.txt', `${logs}/stdout.txt`),
      keep('../stderr.txt', `${logs}/stderr.txt`),
      keep('out/logs/**', `${logs}/engine`),
    ],
    environment: {
      XVA_RUN_ID: record.runId,
      XVA_EVENT_ID: record.eventId,
      ...(record.traceparent === null ? {} : { TRACEPARENT: record.traceparent }),
    },
    requiredSlots: 1,
    retentionTime: policy.taskRetentionTime,
    identityResourceId: policy.identityResourceId,
  };
}
