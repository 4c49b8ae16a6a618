import { scalars } from '@xva/contracts';
import { z } from 'zod';
import { logNames, type LogService } from '../../service/logs.ts';
import { parseByteRange } from '../byte-range.ts';
import { route, type Route } from '../route.ts';
import { noSuchRun, queryInteger, runParams } from './shared.ts';

const text = { 'text/plain': { example: 'simulation: 400 of 1000 paths\n' } };

/** What tasks wrote. */
export function logRoutes(logs: LogService): readonly Route[] {
  return [
    route({
      operationId: 'getTaskLog',
      method: 'get',
      path: '/v1/runs/{runId}/tasks/{taskId}/logs/{log}',
      tag: 'runs',
      role: 'reader',
      summary: 'A log of a task: from its node while that is there, else from Storage (`x-log-source`).',
      description:
        'A range of a log on a node is given as `bytes first-last/*`, since its end is not known while it is written; what is given may be shorter than what was asked for (1 MiB at most). Ask on from there.',
      params: runParams.extend({
        taskId: scalars.taskId.meta({ example: 'shard-0001' }),
        log: z.enum(logNames),
      }),
      query: z.strictObject({ attempt: queryInteger(1, 9999).optional() }),
      headers: { range: 'bytes to give; `bytes=-4096` is the end' },
      responses: {
        200: { description: 'the text', content: text, headers: { 'x-log-source': 'node or storage' } },
        206: {
          description: 'the range that was asked for',
          content: text,
          headers: { 'content-range': 'which bytes' },
        },
        ...noSuchRun,
        404: { description: 'no such run, task or log' },
        416: { description: 'the range lies behind the end', headers: { 'content-range': 'how many bytes there are' } },
      },
      handle: async ({ params: { runId, taskId, log }, query: { attempt }, principal, header }) => {
        const part = await logs.read({ runId, taskId, log, attempt }, parseByteRange(header('range')), principal);
        const { range } = part;
        return {
          status: range === undefined ? 200 : 206,
          stream: part.stream,
          headers: {
            'content-type': 'text/plain; charset=utf-8',
            'accept-ranges': 'bytes',
            'x-log-source': part.source,
            'x-log-attempt': String(part.attempt),
            'cache-control': 'no-store',
            ...(range === undefined
              ? {}
              : { 'content-range': `bytes ${range.first}-${range.last}/${range.size ?? '*'}` }),
          },
        };
      },
    }),
  ];
}
