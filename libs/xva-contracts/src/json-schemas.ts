import { z } from 'zod';
import { manifestSchema } from './input-package/manifest.ts';
import { bundleSchema, taskReportSchema } from './job/bundle.ts';
import { jobRequestSchema } from './job/job-request.ts';
import { runRecordSchema } from './job/run-record.ts';
import { runPageSchema, runProgressSchema, runViewSchema } from './job/run-view.ts';
import { taskProgressSchema, taskSpecSchema } from './job/task-spec.ts';
import { packageProblemSchema, problemSchema } from './problem.ts';
import { publishedSchema, resultSummarySchema } from './result/summary.ts';
import { retentionLabelsSchema } from './retention/labels.ts';
import { deadLetterSchema } from './run-event/dead-letter.ts';
import { runEventSchema } from './run-event/event.ts';
import { frozenRequestSchema } from './run-event/frozen-request.ts';
import { tradeTermsSchemas } from './run-event/trade-terms.ts';

/** Every schema that leaves TypeScript, by the name of its file in `schemas/`. */
export const publishedContracts: Readonly<Record<string, z.ZodType>> = {
  'run-event': runEventSchema,
  'frozen-request': frozenRequestSchema,
  manifest: manifestSchema,
  'job-request': jobRequestSchema,
  'run-record': runRecordSchema,
  'run-view': runViewSchema,
  'run-page': runPageSchema,
  'run-progress': runProgressSchema,
  'task-spec': taskSpecSchema,
  'task-progress': taskProgressSchema,
  'task-report': taskReportSchema,
  bundle: bundleSchema,
  'result-summary': resultSummarySchema,
  published: publishedSchema,
  problem: problemSchema,
  'package-problem': packageProblemSchema,
  'dead-letter': deadLetterSchema,
  'retention-labels': retentionLabelsSchema,
  ...Object.fromEntries(Object.entries(tradeTermsSchemas).map(([name, schema]) => [`trade-terms.${name}`, schema])),
};

/** JSON Schema 2020-12 of one contract, as text for its file. */
export function jsonSchemaText(name: string): string {
  const schema = publishedContracts[name];
  if (schema === undefined) throw new Error(`no contract is called ${name}`);
  const json = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'output' });
  return `${JSON.stringify({ $id: `https://xva-lab.invalid/schemas/${name}.schema.json`, title: name, ...json }, null, 2)}\n`;
}
