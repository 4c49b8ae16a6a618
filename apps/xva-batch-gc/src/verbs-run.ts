import { Cron } from 'croner';
import { sweep } from '@xva/flow-sweep';
import { describeError, startOpsServer } from '@xva/runtime';
import type { Composition } from './compose.ts';
import { markNow, withDeps, type Context, type GcVerb } from './verbs.ts';

/** Mark and report; with `sweepEnabled` the sweep too, as far as the ceiling lets it. */
async function runCycle(composition: Composition, context: Context): Promise<void> {
  const { deps, metrics } = composition;
  const { policy, report } = await markNow(composition, context);
  if (!context.config.sweepEnabled || report.totals.items === 0) {
    metrics.cycle('marked', deps.clock.now());
    return;
  }
  const outcome = await sweep(deps, policy, report, {
    signal: context.lifecycle.stopTaking,
    onActs: (acts) => metrics.acted(acts),
  });
  const { reportId } = report;
  if (outcome.outcome === 'refused') {
    context.logger.warn({ reportId, reason: outcome.reason }, 'sweep asks for approval');
    metrics.cycle('refused', deps.clock.now());
  } else {
    const { reason, counts, bytes } = outcome;
    context.logger.info({ reportId, reason, counts, bytes }, `sweep ${outcome.outcome}`);
    metrics.cycle(outcome.outcome === 'done' ? 'swept' : 'stopped', deps.clock.now());
  }
}

export const runVerb: GcVerb = {
  name: 'run',
  description: 'mark and report on the schedule; sweep too if sweepEnabled',
  run: (context) =>
    withDeps(context, async (composition) => {
      const { config, lifecycle, logger } = context;
      const { checks, registry, metrics, deps } = composition;
      const ops = await startOpsServer({
        host: config.opsHost,
        port: config.opsPort,
        checks,
        registry,
        stopping: lifecycle.stopTaking,
      });
      const options = { timezone: config.scheduleTimezone, protect: true, paused: true };
      const job = new Cron(config.schedule, options, async () => {
        await runCycle(composition, context).catch((error: unknown) => {
          logger.error({ error: describeError(error) }, 'cycle failed');
          metrics.cycle('failed', deps.clock.now());
        });
      });
      try {
        job.resume();
        const ready = { ready: true, name: 'xva-batch-gc', pid: process.pid, endpoints: { ops: ops.url } };
        context.output(ready, JSON.stringify(ready));
        await new Promise<void>((resolve) =>
          lifecycle.stopTaking.addEventListener('abort', () => resolve(), { once: true }),
        );
        job.stop();
        while (job.isBusy() && !lifecycle.stopWorking.aborted) await deps.clock.sleep(20, lifecycle.stopWorking);
      } finally {
        job.stop();
        await ops.close();
      }
    }),
};
