import { deriveRunId, formatRequestKey, type JobRequest, type Manifest, type Plan } from '@xva/contracts';
import type { Clock } from '@xva/runtime';
import { RequestRefusedError } from './errors.ts';
import type { ManifestSource } from './manifests.ts';
import { builtInCostModel, planShards, type PlanLimits } from './plan.ts';
import type { CostModelStore, RunStore, StoredRun, WorkStorage } from './ports.ts';
import { newRecord } from './record.ts';
import { notSeparable } from './separable.ts';

export type AcceptOutcome =
  | { readonly outcome: 'created' | 'exists'; readonly run: StoredRun }
  /** The event has a run with another package or request: a person must look. */
  | { readonly outcome: 'conflict'; readonly run: StoredRun; readonly message: string }
  /** So many runs wait already that a new one is not taken now. */
  | { readonly outcome: 'busy' };

export interface AcceptDeps {
  readonly runs: RunStore;
  readonly manifests: ManifestSource;
  readonly limits: PlanLimits;
  readonly clock: Clock;
  /** Where a package's parts are: its settings are looked at before it is cut into shards. Absent = they are trusted. */
  readonly work?: Pick<WorkStorage, 'objects'> | undefined;
  readonly costModel?: CostModelStore | undefined;
  /** Asked for a new run only: one that is known is always told. */
  readonly isBusy: () => boolean;
}

export interface Submission {
  readonly request: JobRequest;
  readonly submittedBy: string;
  /** Who the run's slots are charged to; absent = the submitter. */
  readonly desk?: string | undefined;
  readonly traceparent: string | null;
}

/**
 * Turns a job request into a run: its id follows from the event alone, its record is written once, before Batch is
 * touched. The same request again is the same run, also when that one has been swept.
 *
 * @throws RequestRefusedError when the package is missing, not what its id says, or of another request.
 */
export async function acceptRun(submission: Submission, deps: AcceptDeps): Promise<AcceptOutcome> {
  const { request } = submission;
  const runId = deriveRunId(request.eventId, request.requestKey);
  const known = await deps.runs.get(runId);
  if (known !== undefined) return compare(known, request);
  if (deps.isBusy()) return { outcome: 'busy' };
  const { manifest, plan } = await planOf(request, deps);
  const desk = deskOf(submission.desk ?? submission.submittedBy);
  const record = newRecord({ ...submission, desk, runId, manifest, plan, now: deps.clock.now() });
  const inserted = await deps.runs.insert(record);
  if (inserted.outcome === 'created') return { outcome: 'created', run: { record, etag: inserted.etag } };
  const other = await deps.runs.get(runId);
  if (other === undefined) throw new Error(`run ${runId} exists and cannot be read`);
  return compare(other, request);
}

/**
 * The manifest of a request and the plan that it would get now.
 *
 * @throws RequestRefusedError for a request that no later try can make right
 */
export async function planOf(
  request: JobRequest,
  deps: Pick<AcceptDeps, 'manifests' | 'limits' | 'work' | 'costModel'>,
): Promise<{ readonly manifest: Manifest; readonly plan: Plan }> {
  const [manifest, learnt] = await Promise.all([deps.manifests.get(request.packageId), deps.costModel?.read()]);
  if (manifest === undefined) {
    throw new RequestRefusedError(
      'package-not-found',
      request.packageId,
      `there is no manifest objects/${request.packageId} in the work account`,
    );
  }
  checkManifest(manifest, request);
  const { maxShards } = deps.limits;
  const limits = { ...deps.limits, maxShards: Math.min(maxShards, request.maxShards ?? maxShards) };
  const plan = planShards(manifest, limits, learnt?.model ?? builtInCostModel);
  if (plan.shards.length > 1 && deps.work !== undefined) await checkSeparable(manifest, request, deps.work);
  return { manifest, plan };
}

/** @throws RequestRefusedError for a package whose settings make its netting sets depend on each other */
async function checkSeparable(
  manifest: Manifest,
  request: JobRequest,
  work: Pick<WorkStorage, 'objects'>,
): Promise<void> {
  for (const part of manifest.parts.filter((one) => one.role === 'setup')) {
    const blob = await work.objects.get(part.sha256);
    if (blob === undefined) {
      const message = `part ${part.path} (objects/${part.sha256}) of package ${request.packageId} is not in the work account`;
      throw new RequestRefusedError('package-part-not-found', part.path, message);
    }
    const [first] = notSeparable(Buffer.from(blob.bytes).toString('utf8'));
    if (first !== undefined) {
      const message = `${part.path}: ${first.message}, so that shards are not exact; switch it off, or ask for one shard (maxShards 1)`;
      throw new RequestRefusedError('settings-not-separable', first.setting, message);
    }
  }
}

function compare(run: StoredRun, request: JobRequest): AcceptOutcome {
  const { packageId, requestKey } = run.record;
  const asked = formatRequestKey(request.requestKey);
  const stored = formatRequestKey(requestKey);
  if (packageId === request.packageId && stored === asked) return { outcome: 'exists', run };
  const message =
    stored === asked
      ? `event ${request.eventId} already has run ${run.record.runId} with package ${packageId}, not ${request.packageId}`
      : `event ${request.eventId} already has run ${run.record.runId} for ${stored}, not ${asked}`;
  return { outcome: 'conflict', run, message };
}

function checkManifest(manifest: Manifest, request: JobRequest): void {
  if (manifest.eventId !== request.eventId) {
    const message = `package ${request.packageId} was made for event ${manifest.eventId}, not ${request.eventId}`;
    throw new RequestRefusedError('package-of-another-event', request.packageId, message);
  }
  const packaged = formatRequestKey(manifest.requestKey);
  const asked = formatRequestKey(request.requestKey);
  if (packaged !== asked) {
    const message = `package ${request.packageId} was made for ${packaged}, not ${asked}`;
    throw new RequestRefusedError('package-of-another-request', request.packageId, message);
  }
  if (manifest.strict && manifest.refusals.length > 0) {
    const first = manifest.refusals[0];
    const message = `the run is strict and ${manifest.refusals.length} defects were refused, first ${first?.subject ?? ''}: ${first?.message ?? ''}`;
    throw new RequestRefusedError('strict-with-refusals', first?.nettingSetId ?? request.packageId, message);
  }
}

/** A desk's name as records keep it. */
export function deskOf(name: string): string {
  return name === '' ? 'none' : name.slice(0, 64);
}
