import type { Subscription } from '@xva/azure-event-hubs';
import { describeError, startOpsServer, systemClock, type Verb } from '@xva/runtime';
import { compose } from '../compose.ts';
import type { configSchema } from '../config.ts';
import { consumeHooks } from '../consume.ts';
import { within } from './within.ts';

const startRetryMs = 1_000;

export const runVerb: Verb<typeof configSchema> = {
  name: 'run',
  description: 'consume the hub until stopped',
  run: async ({ config, logger, lifecycle, outputLine }) => {
    const { stopTaking, stopWorking } = lifecycle;
    const composition = compose(config, logger, 'patient');
    const { readiness, registry } = composition;
    let subscription: Subscription | undefined;
    const consuming = {
      name: 'subscription',
      run: () =>
        subscription === undefined ? Promise.reject(new Error('not subscribed yet')) : Promise.resolve('subscribed'),
    };
    const checks = [...readiness, consuming];
    const ops = await startOpsServer({
      host: config.opsHost,
      port: config.opsPort,
      checks,
      registry,
      stopping: stopTaking,
    });
    const ready = { ready: true, name: 'xva-file-event-controller', pid: process.pid, endpoints: { ops: ops.url } };
    outputLine(ready, JSON.stringify(ready));
    try {
      const hooks = consumeHooks({ config, logger, composition, stopWorking });
      while (!stopTaking.aborted && subscription === undefined) {
        try {
          await Promise.all([composition.objects.ensure(), composition.deadLetters.ensure()]);
          const opened = await composition.consumer.subscribe(hooks);
          composition.watchPartitions(opened.owned);
          subscription = opened;
        } catch (error) {
          logger.warn({ error: describeError(error) }, 'cannot start yet; trying again');
          await systemClock.sleep(startRetryMs, stopTaking);
        }
      }
      await new Promise<void>((resolve) => {
        if (stopTaking.aborted) resolve();
        stopTaking.addEventListener('abort', () => resolve(), { once: true });
      });
    } finally {
      await within(stopWorking, logger, async () => {
        await subscription?.close();
        await composition.close();
      });
      await ops.close();
    }
  },
};
