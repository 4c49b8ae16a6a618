import type { CliDefinition } from '@xva/runtime';
import { compose } from './compose.ts';
import { configSchema } from './config.ts';
import { deadLettersVerb } from './verbs/dead-letters.ts';
import { onceVerb } from './verbs/once.ts';
import { runVerb } from './verbs/run.ts';

export const definition: CliDefinition<typeof configSchema> = {
  name: 'xva-file-event-controller',
  version: '0.1.0',
  description:
    'Turns run events into input packages in Storage and job requests; what cannot be becomes a dead letter.',
  configSchema,
  verbs: [runVerb, onceVerb, deadLettersVerb],
  checks: (config, logger) => {
    const { checks, close } = compose(config, logger, 'patient');
    return Promise.resolve({ checks, close });
  },
};
