import type { CliDefinition } from '@xva/runtime';
import { compose } from './compose.ts';
import { configSchema } from './config.ts';
import { verbs } from './verbs.ts';

export const definition: CliDefinition<typeof configSchema> = {
  name: 'xva-db-integrator',
  version: '0.1.0',
  description:
    'Turns rows of SQL Server that ask for a run into events: freezes what they ask for, publishes, completes.',
  configSchema,
  verbs,
  checks: (config, logger) => {
    const { checks, close } = compose(config, logger);
    return Promise.resolve({ checks, close: () => close(false) });
  },
};
