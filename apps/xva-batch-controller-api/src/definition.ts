import type { CliDefinition } from '@xva/runtime';
import { compose } from './compose.ts';
import { configSchema } from './config.ts';
import { auditVerb } from './verbs/audit.ts';
import { keysVerb } from './verbs/keys.ts';
import { poolsVerb } from './verbs/pools.ts';
import { runsVerb } from './verbs/runs.ts';
import { onceVerb, openApiVerb, runVerb, version } from './verbs/serve.ts';
import { webhooksVerb } from './verbs/webhooks.ts';

export const definition: CliDefinition<typeof configSchema> = {
  name: 'xva-batch-controller-api',
  version,
  description: 'Façade over Azure Batch: submits, follows and publishes XVA runs.',
  configSchema,
  verbs: [runVerb, onceVerb, openApiVerb, runsVerb, poolsVerb, webhooksVerb, keysVerb, auditVerb],
  checks: (config, logger) => {
    const { checks, close } = compose(config, logger);
    return Promise.resolve({
      checks,
      close: () => {
        close();
        return Promise.resolve();
      },
    });
  },
};
