import {
  deriveRunId,
  parseContractText,
  publishedSchema,
  resultPaths,
  resultSummarySchema,
  runPaths,
  type JobRequest,
  type Published,
  type ResultSummary,
  type RunPage,
  type RunProgress,
  type RunRecord,
  type RunState,
} from '@xva/contracts';
import {
  acceptRun,
  cancelRun,
  progressOf,
  RequestRefusedError,
  retryRun,
  viewOf,
  type CommandOutcome,
  type RunLoop,
  type StoredRun,
  type SubmitDeps,
} from '@xva/flow-submit';
import { newTraceparent, parseTraceparent } from '@xva/runtime';
import { notFound, ProblemError } from './http/problems.ts';

export interface RunPages {
  page(
    filter: { states?: readonly RunState[] | undefined; book?: string | undefined; asOf?: string | undefined },
    pageSize: number,
    continuation?: string,
  ): Promise<{ runs: readonly StoredRun[]; continuation: string | undefined }>;
}

export interface PoolView {
  readonly id: string;
  readonly state: string;
  readonly allocationState: string;
  readonly vmSize: string;
  readonly slotsPerNode: number;
  readonly dedicatedNodes: { readonly current: number; readonly target: number };
  readonly spotNodes: { readonly current: number; readonly target: number };
  readonly resizeErrors: readonly string[];
}

export interface ServiceDeps extends SubmitDeps {
  readonly pages: RunPages;
  readonly listPools: () => AsyncIterable<PoolView>;
  readonly loop: Pick<RunLoop, 'wake' | 'records'>;
  readonly maxQueuedRuns: number;
}

const logFiles = {
  stdout: { node: 'stdout.txt', stored: 'stdout.txt' },
  stderr: { node: 'stderr.txt', stored: 'stderr.txt' },
  engine: { node: 'wd/out/logs/ore.log', stored: 'engine/ore.log' },
} as const;

/** What the routes do, said in the flow's words; turns its outcomes into problems where there is one. */
export class ControllerService {
  readonly #deps: ServiceDeps;
  /** Submissions of one run that are under way here: the second waits for the first instead of racing it. */
  readonly #submitting = new Map<string, Promise<unknown>>();

  constructor(deps: ServiceDeps) {
    this.#deps = deps;
  }

  /** @throws ProblemError for a conflict, a bad package, or when too many runs wait. */
  async submit(
    request: JobRequest,
    by: string,
    traceparent: string | undefined,
  ): Promise<{ outcome: 'created' | 'exists'; run: StoredRun }> {
    const runId = deriveRunId(request.eventId, request.requestKey);
    const before = this.#submitting.get(runId) ?? Promise.resolve();
    const accepting = before.then(() => this.#accept(request, by, traceparent));
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
    by: string,
    traceparent: string | undefined,
  ): Promise<{ outcome: 'created' | 'exists'; run: StoredRun }> {
    const { loop, maxQueuedRuns } = this.#deps;
    const trace = parseTraceparent(traceparent) === undefined ? newTraceparent() : (traceparent ?? null);
    const isBusy = (): boolean => loop.records().filter((record) => record.state === 'queued').length >= maxQueuedRuns;
    try {
      const accepted = await acceptRun(
        { request, submittedBy: by, traceparent: trace },
        { ...this.#deps, limits: this.#deps.policy, isBusy },
      );
      if (accepted.outcome === 'busy') {
        throw new ProblemError(429, 'busy', `${maxQueuedRuns} runs wait already`, { retryAfterSeconds: 5 });
      }
      if (accepted.outcome === 'conflict') throw new ProblemError(409, 'run-conflict', accepted.message);
      if (accepted.outcome === 'created') loop.wake(accepted.run.record.runId, accepted.run);
      return { outcome: accepted.outcome, run: accepted.run };
    } catch (error) {
      if (!(error instanceof RequestRefusedError)) throw error;
      const { code, subject, message } = error;
      throw new ProblemError(422, code, message, { errors: [{ subject, code, message }] });
    }
  }

  /** @throws ProblemError 404 */
  async get(runId: string): Promise<StoredRun> {
    const found = await this.#deps.runs.get(runId);
    if (found === undefined) throw notFound(`run ${runId}`);
    return found;
  }

  async list(filter: Parameters<RunPages['page']>[0], limit: number, page: string | undefined): Promise<RunPage> {
    let continuation: string | undefined;
    if (page !== undefined) {
      continuation = Buffer.from(page, 'base64url').toString('utf8');
      if (continuation === '' || !isContinuation(continuation))
        throw new ProblemError(400, 'page-not-valid', 'page is not one that was given before');
    }
    const found = await this.#deps.pages.page(filter, limit, continuation);
    return {
      items: found.runs.map(({ record }) => viewOf(record)),
      ...(found.continuation === undefined
        ? {}
        : { nextPage: Buffer.from(found.continuation, 'utf8').toString('base64url') }),
    };
  }

  async progress(runId: string): Promise<RunProgress> {
    return progressOf((await this.get(runId)).record, this.#deps.batch);
  }

  async cancel(runId: string, by: string): Promise<{ outcome: 'done' | 'already'; run: StoredRun }> {
    return this.#commanded(runId, await cancelRun(runId, by, this.#deps));
  }

  async retry(runId: string, by: string): Promise<{ outcome: 'done' | 'already'; run: StoredRun }> {
    return this.#commanded(runId, await retryRun(runId, by, this.#deps));
  }

  #commanded(runId: string, result: CommandOutcome): { outcome: 'done' | 'already'; run: StoredRun } {
    if (result.outcome === 'absent') throw notFound(`run ${runId}`);
    if (result.outcome === 'refused') throw new ProblemError(409, 'run-state', result.message);
    this.#deps.loop.wake(runId, result.run);
    return result;
  }

  async #published(runId: string): Promise<Published> {
    const { record } = await this.get(runId);
    const blob = await this.#deps.ledger.results.get(resultPaths.pointer(runId));
    if (blob === undefined) {
      throw new ProblemError(404, 'not-published', `run ${runId} is ${record.state}: nothing is published`);
    }
    return parseContractText(publishedSchema, Buffer.from(blob.bytes).toString('utf8'), `result of ${runId}`);
  }

  async results(runId: string): Promise<{ published: Published; summary: ResultSummary }> {
    const published = await this.#published(runId);
    const file = published.files.find((one) => one.name === 'summary.json');
    const blob = file === undefined ? undefined : await this.#deps.ledger.results.get(file.blob);
    if (blob === undefined) throw notFound(`summary of run ${runId}`);
    const text = Buffer.from(blob.bytes).toString('utf8');
    return { published, summary: parseContractText(resultSummarySchema, text, `summary of ${runId}`) };
  }

  async resultFile(
    runId: string,
    name: string,
  ): Promise<{ size: number; sha256: string; contentType: string; open: () => Promise<NodeJS.ReadableStream> }> {
    const published = await this.#published(runId);
    const file = published.files.find((one) => one.name === name);
    if (file === undefined) throw notFound(`file ${name} in the result of run ${runId}`);
    return {
      size: file.size,
      sha256: file.sha256,
      contentType: name.endsWith('.json') ? 'application/json' : 'application/octet-stream',
      open: async () => {
        const opened = await this.#deps.ledger.results.openRead(file.blob);
        if (opened === undefined) throw notFound(`file ${name} in the result of run ${runId}`);
        return opened.stream;
      },
    };
  }

  /** From the node while it is there, since only it has what is being written; else what was kept in Storage. */
  async log(
    runId: string,
    taskId: string,
    log: keyof typeof logFiles,
    range: { readonly attempt?: number | undefined; readonly offset: number; readonly limit: number },
  ): Promise<{ bytes: Uint8Array; source: 'node' | 'storage' }> {
    const { record } = await this.get(runId);
    const attempt = range.attempt ?? attemptOf(record, taskId);
    const entry = record.attempts.find((one) => one.attempt === attempt);
    const nothing = notFound(`${log} of ${taskId} in attempt ${attempt} of run ${runId}`);
    if (entry === undefined) throw nothing;
    const { node, stored } = logFiles[log];
    const live = await this.#deps.batch.readTaskFile(entry.jobId, taskId, node, {
      offset: range.offset,
      count: range.limit,
    });
    if (live !== undefined) return { bytes: live, source: 'node' };
    const container = this.#deps.work.runContainer(record.container);
    try {
      const blob = `${runPaths.taskLogs(attempt, taskId)}/${stored}`;
      const opened = await container.openRead(blob, range.offset, range.limit);
      if (opened === undefined) throw nothing;
      const chunks: Buffer[] = [];
      for await (const chunk of opened.stream) chunks.push(Buffer.from(chunk));
      return { bytes: Buffer.concat(chunks), source: 'storage' };
    } catch (error) {
      if ((error as { status?: unknown }).status === 416) return { bytes: Buffer.alloc(0), source: 'storage' };
      throw error;
    }
  }

  async pools(): Promise<readonly PoolView[]> {
    const found: PoolView[] = [];
    for await (const pool of this.#deps.listPools()) found.push(pool);
    return found;
  }
}

/** The attempt whose log is meant when none is named: the one that gave the accepted bundle, else the current one. */
function attemptOf(record: RunRecord, taskId: string): number {
  if (taskId === 'merge') return record.merged?.attempt ?? record.attempt;
  return record.accepted.find((bundle) => bundle.taskId === taskId)?.attempt ?? record.attempt;
}

/** The Table client's continuation: base64 of a JSON object. Anything else would fail deep inside it. */
function isContinuation(text: string): boolean {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64').toString('utf8'));
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}
