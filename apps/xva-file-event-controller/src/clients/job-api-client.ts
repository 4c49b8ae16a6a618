import type { JobRequest } from '@xva/contracts';
import { StepFailure, type CallContext, type JobAnswer, type JobApiPort } from '@xva/flow-package';
import { z } from 'zod';
import { HttpClient, isAnswered, parseJson, readBody } from './http-client.ts';

/** The fields of a run that matter here; the controller may add others. */
const runSchema = z.looseObject({ runId: z.string(), eventId: z.string(), packageId: z.string(), state: z.string() });
const mostRunBytes = 16 * 1024 * 1024;

/** A service that takes longer over a short answer than this is as good as gone. */
const aliveDeadlineMs = 5_000;

export interface JobApiOptions {
  readonly url: string;
  readonly apiKey: string;
  readonly deadlineMs: number;
}

/** The batch controller's API over HTTP. */
export class JobApiClient implements JobApiPort {
  readonly #http: HttpClient;
  readonly #deadlineMs: number;

  constructor(options: JobApiOptions) {
    this.#http = new HttpClient({ url: options.url, apiKey: options.apiKey, reason: 'job-api' });
    this.#deadlineMs = options.deadlineMs;
  }

  submit(request: JobRequest, context: CallContext): Promise<JobAnswer> {
    const call = {
      method: 'POST',
      path: '/v1/runs',
      body: JSON.stringify(request),
      deadlineMs: this.#deadlineMs,
    } as const;
    return this.#http.call('submitJob', call, context, async (response) => {
      const nonsense = (): StepFailure =>
        new StepFailure(
          'transient',
          'job-api-nonsense',
          `the job API answered ${response.status} with something that is no run`,
        );
      const run = runSchema.safeParse(parseJson(await readBody(response, mostRunBytes, nonsense)));
      if (!run.success) throw nonsense();
      const { runId, eventId, packageId, state } = run.data;
      return { created: response.status === 201, runId, eventId, packageId, state };
    });
  }

  alive(signal: AbortSignal): Promise<boolean> {
    return isAnswered(this.#ask(signal, Math.min(aliveDeadlineMs, this.#deadlineMs)));
  }

  /** @throws StepFailure with what is wrong. */
  async check(signal: AbortSignal): Promise<string> {
    await this.#ask(signal, this.#deadlineMs);
    return 'key accepted';
  }

  /** One authenticated request; a key that may submit but not read is accepted too. */
  async #ask(signal: AbortSignal, deadlineMs: number): Promise<void> {
    const context = { signal, traceparent: '', eventId: 'check' };
    const call = { method: 'GET', path: '/v1/runs?limit=1', deadlineMs } as const;
    try {
      await this.#http.call('submitJob', call, context, async (response) => {
        await response.body?.cancel();
      });
    } catch (error) {
      if (!(error instanceof StepFailure && / answered 403/.test(error.message))) throw error;
    }
  }
}
