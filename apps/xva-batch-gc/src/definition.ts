import type { CliDefinition } from '@xva/runtime';
import { compose } from './compose.ts';
import { configSchema } from './config.ts';
import { verbs } from './verbs.ts';

export const definition: CliDefinition<typeof configSchema> = {
  name: 'xva-batch-gc',
  version: '0.1.0',
  description: 'Clean-up of Storage and Batch: marks, reports, and sweeps only what it is told to.',
  configSchema,
  verbs,
  checks: async (config, logger) => {
    const { checks } = await compose(config, logger);
    return { checks, close: () => Promise.resolve() };
  },
};
