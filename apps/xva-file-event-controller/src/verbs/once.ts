import { cliExitCodes, CliError, describeError, type Verb } from '@xva/runtime';
import { compose } from '../compose.ts';
import type { configSchema } from '../config.ts';
import { consumeHooks } from '../consume.ts';
import { within } from './within.ts';

export const onceVerb: Verb<typeof configSchema> = {
  name: 'once',
  description: 'work off what is in the hub now, then end',
  run: async ({ config, logger, lifecycle, output }) => {
    const composition = compose(config, logger, 'impatient');
    const count = { submitted: 0, existed: 0, deadLettered: 0 };
    const stuck = new AbortController();
    const hooks = consumeHooks({
      config,
      logger,
      composition,
      stopWorking: lifecycle.stopWorking,
      // It ends when the last checkpoint is written.
      checkpointIntervalMs: Math.min(config.checkpointIntervalMs, 50),
      onOutcome: (outcome) => {
        if (outcome.outcome === 'dead-lettered') count.deadLettered += 1;
        else if (outcome.existed) count.existed += 1;
        else count.submitted += 1;
      },
      onStuck: (error) => {
        const message = String(describeError(error)['message']);
        stuck.abort(new CliError(`cannot go on: ${message}`, cliExitCodes.notReady));
      },
    });
    try {
      await Promise.all([composition.objects.ensure(), composition.deadLetters.ensure()]);
      await composition.consumer.drain(hooks, AbortSignal.any([lifecycle.stopTaking, stuck.signal]));
    } finally {
      await within(lifecycle.stopWorking, logger, () => composition.close());
    }
    const text = `${count.submitted} jobs requested, ${count.existed} were there already, ${count.deadLettered} dead letters`;
    output(count, text);
  },
};
