import {
  parseContractText,
  publishedSchema,
  resultPaths,
  resultSummarySchema,
  type Published,
  type ResultSummary,
} from '@xva/contracts';
import type { Blobs } from '@xva/flow-submit';
import type { Principal } from '../auth/principal.ts';
import { notFound, ProblemError } from '../http/problems.ts';
import { openParquetTable, TableFormatError, type ParquetTable } from '../results/parquet-table.ts';
import type { RunService } from './runs.ts';

export interface ResultFile {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly contentType: string;
  readonly open: (offset?: number, count?: number) => Promise<AsyncIterable<Uint8Array>>;
}

const tablePath = /^tables\/([a-z0-9_]{1,64})\.parquet$/;

/** Reads what runs published; never sees what is not published as a whole. */
export class ResultService {
  readonly #runs: Pick<RunService, 'get'>;
  readonly #results: Blobs;

  constructor(runs: Pick<RunService, 'get'>, results: Blobs) {
    this.#runs = runs;
    this.#results = results;
  }

  async #published(runId: string, principal: Principal): Promise<Published> {
    const { record } = await this.#runs.get(runId, principal);
    const blob = await this.#results.get(resultPaths.pointer(runId));
    if (blob === undefined)
      throw new ProblemError(404, 'not-published', `run ${runId} is ${record.state}: nothing is published`);
    return parseContractText(publishedSchema, Buffer.from(blob.bytes).toString('utf8'), `result of ${runId}`);
  }

  async #summary(published: Published): Promise<ResultSummary> {
    const file = published.files.find((one) => one.name === 'summary.json');
    const blob = file === undefined ? undefined : await this.#results.get(file.blob);
    if (blob === undefined) throw notFound(`summary of run ${published.runId}`);
    return parseContractText(resultSummarySchema, Buffer.from(blob.bytes).toString('utf8'), 'summary');
  }

  async results(runId: string, principal: Principal): Promise<{ published: Published; summary: ResultSummary }> {
    const published = await this.#published(runId, principal);
    return { published, summary: await this.#summary(published) };
  }

  async file(runId: string, name: string, principal: Principal): Promise<ResultFile> {
    return this.#file(await this.#published(runId, principal), name);
  }

  #file(published: Published, name: string): ResultFile {
    const file = published.files.find((one) => one.name === name);
    if (file === undefined) throw notFound(`file ${name} in the result of run ${published.runId}`);
    return {
      name,
      size: file.size,
      sha256: file.sha256,
      contentType: contentTypeOf(name),
      open: async (offset, count) => {
        const opened = await this.#results.openRead(file.blob, offset, count);
        if (opened === undefined) throw notFound(`file ${name} in the result of run ${published.runId}`);
        return opened.stream as AsyncIterable<Buffer>;
      },
    };
  }

  /** Names of the tables that the result has, with their size. */
  async tables(runId: string, principal: Principal): Promise<readonly ParquetTable[]> {
    const published = await this.#published(runId, principal);
    const { currency } = await this.#summary(published);
    const names = published.files.flatMap(({ name }) => tablePath.exec(name)?.[1] ?? []);
    return Promise.all(names.map((name) => this.#table(published, name, currency)));
  }

  /** @throws ProblemError 404 */
  async table(
    runId: string,
    name: string,
    principal: Principal,
  ): Promise<{ table: ParquetTable; file: ResultFile; summary: ResultSummary }> {
    const published = await this.#published(runId, principal);
    const path = `tables/${name}.parquet`;
    if (!published.files.some((file) => file.name === path))
      throw notFound(`table ${name} in the result of run ${runId}`);
    const summary = await this.#summary(published);
    const table = await this.#table(published, name, summary.currency);
    return { table, file: this.#file(published, path), summary };
  }

  async #table(published: Published, name: string, currency: string): Promise<ParquetTable> {
    const file = this.#file(published, `tables/${name}.parquet`);
    try {
      return await openParquetTable(name, file.size, (offset, count) => readAll(file, offset, count), currency);
    } catch (error) {
      if (!(error instanceof TableFormatError)) throw error;
      throw new ProblemError(422, 'table-not-readable', `${error.message}; ask for it as the file that it is`);
    }
  }
}

async function readAll(file: ResultFile, offset: number, count: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await file.open(offset, count)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function contentTypeOf(name: string): string {
  if (name.endsWith('.json')) return 'application/json';
  return name.endsWith('.parquet') ? 'application/vnd.apache.parquet' : 'application/octet-stream';
}
