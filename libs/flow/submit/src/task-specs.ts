import {
  canonicalJson,
  runPaths,
  shardSpecSchema,
  traceLabel,
  type Attempt,
  type Manifest,
  type MergeSpec,
  type RetentionLabels,
  type RunRecord,
  type ShardSpec,
} from '@xva/contracts';
import type { SubmitPolicy } from './policy.ts';
import type { Blobs, JobSpec, TaskSpec, WorkStorage } from './ports.ts';

/** Task environment and job metadata that may differ between two submissions of the same content. */
export const varyingNames = ['TRACEPARENT', traceLabel, 'xva_environment'] as const;

export function labelsOf(
  record: RunRecord,
  kind: RetentionLabels['xva_class'],
): { readonly xva_class: RetentionLabels['xva_class']; readonly xva_run_id: string; readonly xva_event_id: string } {
  return { xva_class: kind, xva_run_id: record.runId, xva_event_id: record.eventId };
}

/** Labels of what stands for the whole run, its container and its jobs: also whose environment it is. */
export function runLabelsOf(
  record: RunRecord,
  kind: RetentionLabels['xva_class'],
  { environment }: Pick<SubmitPolicy, 'environment'>,
): Readonly<Record<string, string>> {
  return { ...labelsOf(record, kind), ...(environment === undefined ? {} : { xva_environment: environment }) };
}

/** An attempt's job. No secret and nothing that varies but the trace is in its metadata. */
export function jobSpecOf(record: RunRecord, attempt: Attempt, policy: SubmitPolicy): JobSpec {
  const { book, asOf, cut, scenario, revision } = record.requestKey;
  return {
    id: attempt.jobId,
    poolId: attempt.poolId,
    displayName: `${book} ${asOf} ${cut} ${scenario} r${revision}`,
    priority: attempt.priority,
    metadata: {
      ...runLabelsOf(record, 'task-input', policy),
      xva_package_id: record.packageId,
      xva_attempt: String(attempt.attempt),
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

function commonOf(record: RunRecord, attempt: number) {
  return {
    schemaVersion: '1.0' as const,
    runId: record.runId,
    eventId: record.eventId,
    attempt,
    packageId: record.packageId,
    sharedInputHash: record.plan.sharedInputHash,
  };
}

const manifestPath = 'manifest.json';

/** The specs of some open tasks of an attempt. They follow from record and manifest alone. */
export function specsOf(
  record: RunRecord,
  attempt: number,
  taskIds: readonly string[],
  manifest: Manifest,
): readonly (ShardSpec | MergeSpec)[] {
  const shards = new Map(record.plan.shards.map((shard) => [shard.taskId, shard]));
  return taskIds.map((taskId) => {
    const shard = shards.get(taskId);
    if (shard === undefined) return mergeSpec(record, attempt, manifest);
    return shardSpecSchema.parse({
      ...commonOf(record, attempt),
      taskId,
      kind: 'shard',
      parts: manifest.parts,
      nettingSets: shard.nettingSets,
      ...(shard.trades === undefined ? {} : { trades: shard.trades }),
    });
  });
}

/** The merge of a run whose shards are all accepted. With cubes among them it gets the package too. */
export function mergeSpec(record: RunRecord, attempt: number, manifest: Pick<Manifest, 'parts'>): MergeSpec {
  const shards = new Map(record.plan.shards.map((shard) => [shard.taskId, shard]));
  const cubes = record.plan.shards.some((shard) => shard.trades !== undefined);
  return {
    ...commonOf(record, attempt),
    taskId: 'merge',
    kind: 'merge',
    manifestPath,
    ...(cubes ? { parts: [...manifest.parts] } : {}),
    bundles: record.accepted.map(({ taskId, attempt: made, bundleId, sha256 }) => {
      const shard = shards.get(taskId);
      return {
        taskId,
        attempt: made,
        bundleId,
        path: `bundles/${taskId}/bundle-${bundleId}.tar`,
        sha256,
        nettingSets: shard?.nettingSets ?? [],
        ...(shard?.trades === undefined ? {} : { trades: shard.trades }),
      };
    }),
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
  attempt: Pick<Attempt, 'image'>,
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
          ...(spec.parts ?? []).map((part) => ({ httpUrl: objects.url(part.sha256), filePath: part.path })),
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
    image: attempt.image ?? undefined,
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
