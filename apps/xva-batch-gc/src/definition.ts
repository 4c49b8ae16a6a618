import type { CliDefinition } from '@xva/runtime';
import { compose } from './compose.ts';
import { configSchema } from './config.ts';
import { explainVerb, pinVerbs, policyVerb, restoreVerb } from './verbs-keep.ts';
import { runVerb } from './verbs-run.ts';
import { markVerb, onceVerb, reportVerb, sweepVerb } from './verbs.ts';

export const definition: CliDefinition<typeof configSchema> = {
  name: 'xva-batch-gc',
  version: '0.1.0',
  description: 'Clean-up of Storage and Batch: marks, reports, and sweeps only what it is told to.',
  configSchema,
  verbs: [runVerb, onceVerb, markVerb, reportVerb, sweepVerb, restoreVerb, explainVerb, ...pinVerbs, policyVerb],
  checks: async (config, logger) => {
    const { checks, close } = await compose(config, logger);
    return {
      checks,
      close: () => {
        close();
        return Promise.resolve();
      },
    };
  },
};
