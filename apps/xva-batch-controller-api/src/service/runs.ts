import {
  canonicalHash,
  deriveRunId,
  type JobRequest,
  type PlanView,
  type RunPage,
  type RunProgress,
  type RunRecord,
  type RunState,
} from '@xva/contracts';
import {
  acceptRun,
  cancelRun,
  pauseRun,
  planRequest,
  progressOf,
  RequestRefusedError,
  resumeRun,
  retryRun,
  setRunPriority,
  viewOf,
  type CommandOutcome,
  type RunLoop,
  type RunStore,
  type StoredRun,
  type SubmitDeps,
} from '@xva/flow-submit';
import { newTraceparent, parseTraceparent } from '@xva/runtime';
import { maySee, type Principal } from '../auth/principal.ts';
import { allowsVersion, versionChanged } from '../http/conditions.ts';
import { notFound, ProblemError } from '../http/problems.ts';

export interface RunFilter {
  readonly states?: readonly RunState[] | undefined;
  readonly book?: string | undefined;
  readonly cut?: string | undefined;
  readonly scenario?: string | undefined;
  readonly desk?: string | undefined;
  readonly asOf?: string | undefined;
  /** First and last as-of date. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface RunPages {
  /** Records in key order behind the run `after`, at most `limit`, and whether there are more. */
  after(
    filter: RunFilter,
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly runs: readonly StoredRun[]; readonly more: boolean }>;
}

export interface RunServiceDeps extends SubmitDeps {
  readonly pages: RunPages;
  readonly loop: Pick<RunLoop, 'wake' | 'records'>;
  readonly maxQueuedRuns: number;
}

export type Verb = 'cancel' | 'pause' | 'resume' | 'retry';
const commands = { cancel: cancelRun, pause: pauseRun, resume: resumeRun, retry: retryRun } as const;

export interface Commanded {
  readonly outcome: 'done' | 'already';
  readonly before: RunRecord;
  readonly run: StoredRun;
}

/** What the API does with runs, in the flow's words; turns its outcomes into problems where there is one. */
export class RunService {
  readonly #deps: RunServiceDeps;
  /** Submissions of one run that are under way here: the second waits for the first instead of racing it. */
  readonly #submitting = new Map<string, Promise<unknown>>();

  constructor(deps: RunServiceDeps) {
    this.#deps = deps;
  }

  /** @throws ProblemError for a conflict, a bad package, or when too many runs wait. */
  async submit(
    request: JobRequest,
    principal: Principal,
    traceparent: string | undefined,
  ): Promise<{ outcome: 'created' | 'exists'; run: StoredRun }> {
    const runId = deriveRunId(request.eventId, request.requestKey);
    const before = this.#submitting.get(runId) ?? Promise.resolve();
    const accepting = before.then(() => this.#accept(request, principal, traceparent));
    const settled = accepting.catch(() => undefined);
    this.#submitting.set(runId, settled);
    try {
      return await accepting;
    } finally {
      if (this.#submitting.get(runId) === settled) this.#submitting.delete(runId);
    }
  }

  async #accept(
    request: JobRequest,
    principal: Principal,
    traceparent: string | undefined,
  ): Promise<{ outcome: 'created' | 'exists'; run: StoredRun }> {
    const { loop, maxQueuedRuns } = this.#deps;
    const trace = parseTraceparent(traceparent) === undefined ? newTraceparent() : (traceparent ?? null);
    const isBusy = (): boolean => loop.records().filter((record) => record.state === 'queued').length >= maxQueuedRuns;
    try {
      const accepted = await acceptRun(
        { request, submittedBy: principal.id, desk: principal.desk, traceparent: trace },
        { ...this.#deps, limits: this.#deps.policy, isBusy },
      );
      if (accepted.outcome === 'busy')
        throw new ProblemError(429, 'busy', `${maxQueuedRuns} runs wait already`, { retryAfterSeconds: 5 });
      const { record } = accepted.run;
      if (!maySee(principal, record.desk))
        throw new ProblemError(409, 'run-conflict', `event ${request.eventId} has a run of another desk`);
      if (accepted.outcome === 'conflict')
        throw new ProblemError(409, 'run-conflict', accepted.message, { errors: differences(record, request) });
      // One that waits may have been written by a replica that died before it could begin.
      if (accepted.outcome === 'created' || record.state === 'queued') loop.wake(record.runId, accepted.run);
      return { outcome: accepted.outcome, run: accepted.run };
    } catch (error) {
      throw refusedAsProblem(error);
    }
  }

  /** What a submission would be. @throws ProblemError */
  async plan(request: JobRequest, principal: Principal): Promise<PlanView> {
    const known = await this.#deps.runs.get(deriveRunId(request.eventId, request.requestKey));
    if (known !== undefined && !maySee(principal, known.record.desk))
      throw new ProblemError(409, 'run-conflict', `event ${request.eventId} has a run of another desk`);
    try {
      return await planRequest(request, { ...this.#deps, open: () => this.#deps.loop.records() });
    } catch (error) {
      throw refusedAsProblem(error);
    }
  }

  /** @throws ProblemError 404, also for a run of another desk; 410 for one that was swept. */
  async get(runId: string, principal: Principal): Promise<StoredRun> {
    const found = await this.#deps.runs.get(runId);
    if (found === undefined || !maySee(principal, found.record.desk)) throw notFound(`run ${runId}`);
    if (found.record.state === 'sweeping' || found.record.state === 'swept') throw goneAs(found.record);
    return found;
  }

  async list(filter: RunFilter, limit: number, page: string | undefined, principal: Principal): Promise<RunPage> {
    const seen: RunFilter = principal.sees === 'all' ? filter : { ...filter, desk: principal.desk };
    if (principal.sees === 'own' && filter.desk !== undefined && filter.desk !== principal.desk) return { items: [] };
    const { runs, more } = await this.#deps.pages.after(seen, afterOf(page, filter), limit);
    const last = runs.at(-1)?.record.runId;
    return {
      items: runs.map(({ record }) => viewOf(record)),
      ...(more && last !== undefined ? { nextPage: pageOf(last, filter) } : {}),
    };
  }

  async progress(runId: string, principal: Principal): Promise<RunProgress> {
    const { batch, clock } = this.#deps;
    return progressOf((await this.get(runId, principal)).record, batch, clock.now());
  }

  /** @param expected If-Match: the version that the caller has seen; the command is refused (412) when there is another. */
  async command(verb: Verb, runId: string, principal: Principal, expected: string | undefined): Promise<Commanded> {
    return this.#commanded(runId, principal, expected, (deps) => commands[verb](runId, principal.id, deps));
  }

  async priority(
    runId: string,
    priority: number,
    principal: Principal,
    expected: string | undefined,
  ): Promise<Commanded> {
    return this.#commanded(runId, principal, expected, (deps) => setRunPriority(runId, priority, principal.id, deps));
  }

  async #commanded(
    runId: string,
    principal: Principal,
    expected: string | undefined,
    act: (deps: Pick<RunServiceDeps, 'runs' | 'clock'>) => Promise<CommandOutcome>,
  ): Promise<Commanded> {
    const { runs, clock } = this.#deps;
    let { record: before } = await this.get(runId, principal);
    // Every reading of the command goes through here, so that the version that it judges is the one that was expected.
    const watched: RunStore = {
      insert: (record) => runs.insert(record),
      swap: (record, etag) => runs.swap(record, etag),
      listOpen: () => runs.listOpen(),
      get: async (id) => {
        const found = await runs.get(id);
        if (found !== undefined) before = found.record;
        if (expected !== undefined && found !== undefined && !allowsVersion(expected, found.record.version))
          throw versionChanged(`run ${runId}`, expected, found.record.version);
        return found;
      },
    };
    const result = await act({ runs: watched, clock });
    if (result.outcome === 'absent') throw notFound(`run ${runId}`);
    if (result.outcome === 'refused') throw new ProblemError(409, 'run-state', result.message);
    this.#deps.loop.wake(runId, result.run);
    return { outcome: result.outcome, before, run: result.run };
  }
}

function refusedAsProblem(error: unknown): unknown {
  if (!(error instanceof RequestRefusedError)) return error;
  const { code, subject, message } = error;
  return new ProblemError(422, code, message, { errors: [{ subject, code, message }] });
}

/** What the request asks for otherwise than the run that its event has. */
function differences(record: RunRecord, request: JobRequest): { subject: string; code: string; message: string }[] {
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ['packageId', record.packageId, request.packageId],
    ...(['book', 'asOf', 'cut', 'scenario', 'revision'] as const).map(
      (name) => [`requestKey.${name}`, record.requestKey[name], request.requestKey[name]] as const,
    ),
  ];
  return pairs
    .filter(([, has, asked]) => has !== asked)
    .map(([name, has, asked]) => ({
      subject: `body.${name}`,
      code: 'differs',
      message: `run ${record.runId} has ${String(has)}, asked for is ${String(asked)}`,
    }));
}

/** A swept run is told for as long as its tombstone stays: how it ended, and that it will not run again. */
function goneAs(record: RunRecord): ProblemError {
  const { runId, outcome, finishedAt, updatedAt } = record;
  const detail = `run ${runId} ended as ${outcome ?? 'unknown'} at ${finishedAt ?? 'an unknown time'} and was swept at ${updatedAt}; its event never runs again, a new revision does`;
  const errors = record.reasons.slice(-10).map(({ code, subject, message }) => ({ subject, code, message }));
  return new ProblemError(410, 'run-swept', detail, { errors });
}

interface Cursor {
  readonly after: string;
  readonly of: string;
}

function filterMark(filter: RunFilter): string {
  return canonicalHash(JSON.parse(JSON.stringify(filter))).slice(0, 16);
}

function pageOf(after: string, filter: RunFilter): string {
  return Buffer.from(JSON.stringify({ after, of: filterMark(filter) } satisfies Cursor)).toString('base64url');
}

function afterOf(page: string | undefined, filter: RunFilter): string | undefined {
  if (page === undefined) return undefined;
  let cursor: Partial<Cursor> = {};
  try {
    const value: unknown = JSON.parse(Buffer.from(page, 'base64url').toString('utf8'));
    if (typeof value === 'object' && value !== null) cursor = value;
  } catch {
    // Told below.
  }
  if (typeof cursor.after !== 'string' || !/^xva-[0-9]{8}-[a-z0-9-]{1,27}$/.test(cursor.after))
    throw new ProblemError(422, 'page-not-valid', 'page is not one that was given before');
  if (cursor.of !== filterMark(filter))
    throw new ProblemError(422, 'page-of-another-list', 'page was given for another filter: begin anew without it');
  return cursor.after;
}
