import {
  parseContract,
  publishedSchema,
  resultSummarySchema,
  runPageSchema,
  runProgressSchema,
  runViewSchema,
  type Published,
  type ResultSummary,
  type RunProgress,
  type RunView,
} from '@xva/contracts';
import { z } from 'zod';

/** The controller's HTTP API as the lab uses it: any bank's script would do the same. */
export class ControllerClient {
  readonly #url: string;
  readonly #apiKey: string;

  constructor(url: string, apiKey: string) {
    this.#url = url;
    this.#apiKey = apiKey;
  }

  async #get(path: string): Promise<Response> {
    const response = await fetch(`${this.#url}${path}`, {
      headers: { 'x-api-key': this.#apiKey },
      signal: AbortSignal.timeout(15_000),
    });
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${(await response.text()).slice(0, 500)}`);
    return response;
  }

  /** All runs of a book, over all pages. */
  async listRuns(book: string): Promise<readonly RunView[]> {
    const runs: RunView[] = [];
    for (let page: string | undefined = ''; page !== undefined;) {
      const more: string = page === '' ? '' : `&page=${encodeURIComponent(page)}`;
      const response = await this.#get(`/v1/runs?book=${encodeURIComponent(book)}${more}`);
      const found = parseContract(runPageSchema, await response.json(), 'run page');
      runs.push(...found.items);
      page = found.nextPage;
    }
    return runs;
  }

  /** Undefined while there is no such run, or while the controller cannot be reached (it may be restarting). */
  async findRun(runId: string): Promise<RunView | undefined> {
    try {
      const response = await this.#get(`/v1/runs/${runId}`);
      return parseContract(runViewSchema, await response.json(), 'run');
    } catch (error) {
      // By name and not by class: where tests run, fetch's errors are of another realm.
      const { name = '', message = '' } = error as Partial<Error>;
      if (['TypeError', 'TimeoutError'].includes(name) || / (404|50[0-9]) /.test(message)) return undefined;
      throw error;
    }
  }

  async progress(runId: string): Promise<RunProgress | undefined> {
    try {
      const response = await this.#get(`/v1/runs/${runId}/progress`);
      return parseContract(runProgressSchema, await response.json(), 'progress');
    } catch {
      return undefined;
    }
  }

  async results(runId: string): Promise<{ published: Published; summary: ResultSummary }> {
    const response = await this.#get(`/v1/runs/${runId}/results`);
    const shape = z.object({ published: publishedSchema, summary: resultSummarySchema });
    return parseContract(shape, await response.json(), 'results');
  }

  async resultFile(runId: string, name: string): Promise<Uint8Array> {
    const response = await this.#get(`/v1/runs/${runId}/results/files/${name}`);
    return new Uint8Array(await response.arrayBuffer());
  }
}
