import { publishedSchema, resultSummarySchema, scalars } from '@xva/contracts';
import { z } from 'zod';
import { csvOf, jsonOf, profilesOf } from '../../results/render.ts';
import type { ResultFile, ResultService } from '../../service/results.ts';
import { negotiate } from '../accept.ts';
import { parseByteRange, withinSize } from '../byte-range.ts';
import { namesEtag } from '../conditions.ts';
import { ProblemError } from '../problems.ts';
import { route, type Answer, type Route } from '../route.ts';
import { noSuchRun, nothing, runParams } from './shared.ts';

const tableName = z.string().regex(/^[a-z0-9_]{1,64}$/, 'must be the name of a table such as xva_netting_set');
const columnSchema = z.strictObject({
  name: z.string(),
  type: z.enum(['string', 'double', 'int64', 'date', 'bool']),
  unit: z.enum(['money', 'years', 'count', 'microseconds', 'none']),
  currency: z.string().nullable(),
  currencyColumn: z.string().nullable(),
});
const tablesSchema = z.strictObject({
  items: z.array(z.strictObject({ name: z.string(), rows: z.int(), columns: z.array(columnSchema) })),
});
const profilesSchema = z.strictObject({
  runId: scalars.runId,
  asOf: scalars.isoDate,
  /** Of every series that is money. */
  currency: z.string(),
  quantile: z.string(),
  columns: z.array(columnSchema),
  profiles: z.array(
    z.strictObject({
      scope: z.string(),
      nettingSetId: z.string(),
      id: z.string(),
      dates: z.array(scalars.isoDate),
      series: z.record(z.string(), z.array(z.number().nullable())),
    }),
  ),
});

const formats = {
  json: 'application/json',
  csv: 'text/csv',
  parquet: 'application/vnd.apache.parquet',
} as const;
type Format = keyof typeof formats;

const immutable = 'private, max-age=31536000, immutable';
const notPublished = { ...noSuchRun, 404: { description: 'no such run, or nothing of that name is published' } };
const filterQuery = {
  nettingSet: scalars.idToken.optional(),
  trade: scalars.idToken.optional(),
};

/** The format that `?format=` names, or else `Accept` wants most. @throws ProblemError 406 */
function formatOf(named: Format | undefined, accept: string | undefined): Format {
  if (named !== undefined) return named;
  const offered = Object.values(formats);
  const wanted = negotiate(accept, offered);
  const found = (Object.keys(formats) as Format[]).find((name) => formats[name] === wanted);
  if (found === undefined)
    throw new ProblemError(406, 'format-not-known', `a table can be had as ${offered.join(', ')}`);
  return found;
}

/** A stored file: whole, a range of it, or 304. It never changes. JSON is given whole: a part of it would be none. */
async function fileAnswer(file: ResultFile, header: (name: string) => string | undefined): Promise<Answer> {
  const etag = `"${file.sha256}"`;
  const isJson = file.contentType === 'application/json';
  const headers = {
    ...{ etag, 'cache-control': immutable, 'content-type': file.contentType },
    'accept-ranges': isJson ? 'none' : 'bytes',
  };
  if (namesEtag(header('if-none-match'), etag)) return { status: 304, headers };
  const range = isJson ? undefined : parseByteRange(header('range'));
  if (range === undefined)
    return { status: 200, stream: await file.open(), headers: { ...headers, 'content-length': String(file.size) } };
  const part = withinSize(range, file.size);
  if (part === undefined)
    throw new ProblemError(416, 'range-behind-end', `the file has ${file.size} bytes`, {
      headers: { 'content-range': `bytes */${file.size}` },
    });
  const count = part.last - part.first + 1;
  return {
    status: 206,
    stream: await file.open(part.first, count),
    headers: {
      ...headers,
      'content-range': `bytes ${part.first}-${part.last}/${file.size}`,
      'content-length': String(count),
    },
  };
}

const partial = {
  206: {
    description: 'the range that was asked for',
    content: {
      'application/octet-stream': { binary: true },
      [formats.parquet]: { binary: true },
    },
    headers: { 'content-range': 'which bytes' },
  },
  304: { description: 'not changed' },
  416: { description: 'the range lies behind the end', headers: { 'content-range': 'how many bytes there are' } },
};

/** What a run published: summary, files, tables, profiles. */
export function resultRoutes(results: ResultService): readonly Route[] {
  return [
    route({
      operationId: 'getResults',
      method: 'get',
      path: '/v1/runs/{runId}/results',
      tag: 'results',
      role: 'reader',
      summary: 'The published result: its files and its summary, in base currency.',
      params: runParams,
      query: nothing,
      responses: {
        200: {
          description: 'pointer and summary',
          schema: {
            name: 'Results',
            schema: z.strictObject({ published: publishedSchema, summary: resultSummarySchema }),
          },
        },
        ...notPublished,
      },
      handle: async ({ params, principal }) => ({ status: 200, body: await results.results(params.runId, principal) }),
    }),
    route({
      operationId: 'getResultFile',
      method: 'get',
      path: '/v1/runs/{runId}/results/files/{name*}',
      tag: 'results',
      role: 'reader',
      summary: 'One file of the published result as it is, such as summary.json or a Parquet table.',
      params: runParams.extend({ name: scalars.relativePath.meta({ example: 'summary.json' }) }),
      query: nothing,
      headers: { range: 'bytes to give, unless it is JSON', 'if-none-match': 'the version that is known' },
      responses: {
        200: {
          description: 'the file',
          content: {
            'application/octet-stream': { binary: true },
            'application/json': {},
            [formats.parquet]: { binary: true },
          },
          headers: { etag: 'its SHA-256' },
        },
        ...partial,
        ...notPublished,
      },
      handle: async ({ params, principal, header }) =>
        fileAnswer(await results.file(params.runId, params.name, principal), header),
    }),
    route({
      operationId: 'listTables',
      method: 'get',
      path: '/v1/runs/{runId}/results/tables',
      tag: 'results',
      role: 'reader',
      summary: 'The tables of the result, with the type, unit and currency of each column.',
      params: runParams,
      query: nothing,
      responses: {
        200: { description: 'tables', schema: { name: 'Tables', schema: tablesSchema } },
        ...notPublished,
        422: { description: 'a table does not read' },
      },
      handle: async ({ params, principal }) => {
        const tables = await results.tables(params.runId, principal);
        const items = tables.map(({ name, count, columns }) => ({ name, rows: count, columns }));
        return { status: 200, body: { items } };
      },
    }),
    route({
      operationId: 'getTable',
      method: 'get',
      path: '/v1/runs/{runId}/results/tables/{table}',
      tag: 'results',
      role: 'reader',
      summary: 'One table as JSON, CSV or Parquet: what `format` says, else what Accept wants.',
      description:
        'Numbers are the engine’s doubles to the last digit. CSV guards text that a spreadsheet would calculate by a leading apostrophe, never numbers. Parquet is the file as it was published; filters hold for JSON and CSV.',
      params: runParams.extend({ table: tableName.meta({ example: 'xva_netting_set' }) }),
      query: z.strictObject({ format: z.enum(['json', 'csv', 'parquet']).optional(), ...filterQuery }),
      headers: { range: 'bytes to give, of Parquet' },
      responses: {
        200: {
          description: 'the table',
          content: {
            'application/json': {
              example: {
                runId: 'xva-20260930-rates-abcdefghijklmn',
                asOf: '2026-09-30',
                currency: 'EUR',
                table: 'xva_netting_set',
                columns: [{ name: 'cva', type: 'double', unit: 'money', currency: 'EUR', currencyColumn: null }],
                rows: [[1234.5678]],
              },
            },
            'text/csv': { example: 'nettingSetId,baseCurrency,cva\r\nNS-001,EUR,1234.5678\r\n' },
            [formats.parquet]: { binary: true },
          },
        },
        ...partial,
        ...notPublished,
        422: { description: 'the table does not read, or cannot be filtered so' },
      },
      handle: async ({ params: { runId, table: name }, query, principal, header }) => {
        const format = formatOf(query.format, header('accept'));
        const { table, file, summary } = await results.table(runId, name, principal);
        const filter: Record<string, string> = {};
        for (const [column, value] of [
          ['nettingSetId', query.nettingSet],
          ['tradeId', query.trade],
        ] as const) {
          if (value === undefined) continue;
          if (format === 'parquet' || !table.columns.some((one) => one.name === column))
            throw new ProblemError(422, 'filter-not-possible', `${name} as ${format} cannot be filtered by ${column}`);
          filter[column] = value;
        }
        if (format === 'parquet') return fileAnswer(file, header);
        const headers = { 'cache-control': immutable, vary: 'accept' };
        if (format === 'csv') {
          const disposition = `attachment; filename="${runId}-${name}.csv"`;
          return {
            status: 200,
            stream: csvOf(table, filter),
            headers: { ...headers, 'content-type': 'text/csv; charset=utf-8', 'content-disposition': disposition },
          };
        }
        const { asOf, currency } = summary;
        return {
          status: 200,
          stream: jsonOf(table, { runId, asOf, currency }, filter),
          headers: { ...headers, 'content-type': 'application/json; charset=utf-8' },
        };
      },
    }),
    route({
      operationId: 'getProfiles',
      method: 'get',
      path: '/v1/runs/{runId}/results/profiles',
      tag: 'results',
      role: 'reader',
      summary: 'Exposure profiles of one netting set over time: EPE, ENE, PFE and Basel measures as series.',
      params: runParams,
      query: z.strictObject({
        nettingSet: scalars.idToken,
        scope: z.enum(['nettingSet', 'trade']).optional(),
      }),
      responses: {
        200: { description: 'profiles', schema: { name: 'Profiles', schema: profilesSchema } },
        ...notPublished,
        422: { description: 'the table does not read' },
      },
      handle: async ({ params: { runId }, query, principal }) => {
        const { table, summary } = await results.table(runId, 'exposure_profile', principal);
        const filter = {
          nettingSetId: query.nettingSet,
          ...(query.scope === undefined ? {} : { scope: query.scope }),
        };
        const profiles = await profilesOf(table, filter);
        if (profiles.length === 0)
          throw new ProblemError(404, 'not-found', `run ${runId} has no profile of netting set ${query.nettingSet}`);
        const { asOf, currency, quantile } = summary;
        return { status: 200, body: { runId, asOf, currency, quantile, columns: table.columns, profiles } };
      },
    }),
  ];
}
