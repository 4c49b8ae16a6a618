import type { PollOutcome } from '@xva/flow-detect';
import { cliExitCodes, CliError, describeError, startOpsServer, systemClock } from '@xva/runtime';
import type { Composition, Station } from './compose.ts';
import { explainRow, explanationText } from './explain.ts';
import { backfillVerb, replayVerb, statusVerb } from './past-verbs.ts';
import { runSchedule, runWindow, type PollingDeps } from './polling.ts';
import { chosen, withComposition, type Context, type IntegratorVerb } from './verb-kit.ts';

function pollingOf(context: Context, { metrics }: Composition, { definition, detect, ticked }: Station): PollingDeps {
  const { rowConcurrency } = context.config;
  const { stopTaking } = context.lifecycle;
  return {
    definition,
    detect,
    rowConcurrency,
    clock: systemClock,
    random: Math.random,
    metrics,
    logger: context.logger,
    stopTaking,
    ticked,
  };
}

const runVerb: IntegratorVerb = {
  name: 'run',
  description: 'poll by the schedules and publish, until stopped',
  run: (context) =>
    withComposition(context, async (composition) => {
      const { config, lifecycle, logger } = context;
      const { readiness: checks, registry } = composition;
      const { stopTaking: stopping } = lifecycle;
      const ops = await startOpsServer({ host: config.opsHost, port: config.opsPort, checks, registry, stopping });
      const ready = { ready: true, name: 'xva-db-integrator', pid: process.pid, endpoints: { ops: ops.url } };
      context.outputLine(ready, JSON.stringify(ready));
      composition.warm().catch((error: unknown) => {
        logger.warn({ error: describeError(error) }, 'the hub does not answer yet');
      });
      try {
        await Promise.all(composition.stations.map((station) => runSchedule(pollingOf(context, composition, station))));
      } finally {
        await ops.close();
      }
    }),
};

interface OnceResult {
  readonly definition: string;
  readonly finding: PollOutcome['finding'];
  readonly rows: PollOutcome['rows'];
}

const onceVerb: IntegratorVerb = {
  name: 'once',
  description: 'one tick of every definition: work off what is due now, then end',
  options: [{ flags: '--definition <name>', description: 'this one only' }],
  run: (context, _args, options) =>
    withComposition(context, async (composition) => {
      const results: OnceResult[] = [];
      const { stopTaking } = context.lifecycle;
      for (const station of chosen(composition, options['definition'])) {
        const { definition, source } = station;
        if ('waitForLead' in source) {
          const leads = await source.waitForLead((ms) => systemClock.sleep(ms, stopTaking), stopTaking);
          if (stopTaking.aborted) break;
          if (!leads) context.logger.warn({ definition: definition.name }, 'another process leads this definition');
        }
        const outcomes: PollOutcome[] = [];
        const window = { ...definition.window, lengthMs: 0 };
        const startedAtMs = systemClock.now().getTime();
        await runWindow(pollingOf(context, composition, station), window, startedAtMs, (one) => outcomes.push(one));
        const trouble = outcomes.some(({ finding }) => finding === 'trouble');
        const rows = outcomes.flatMap((one) => one.rows);
        const finding = trouble ? 'trouble' : rows.length > 0 ? 'rows' : 'nothing';
        results.push({ definition: definition.name, finding, rows });
      }
      const lines = results.flatMap(({ definition, finding, rows }) => [
        `${definition}: ${finding}`,
        ...rows.map((row) => `  ${row.outcome} ${'runId' in row ? row.runId : 'reason' in row ? row.reason : ''}`),
      ]);
      context.output({ definitions: results }, lines.join('\n'));
      const troubled = results.filter(({ finding }) => finding === 'trouble').map(({ definition }) => definition);
      if (troubled.length > 0) {
        throw new CliError(`not everything was done for ${troubled.join(', ')}; see the log`, cliExitCodes.notReady);
      }
    }),
};

const explainVerb: IntegratorVerb = {
  name: 'explain',
  description: 'say which rows would fire which events now, and why the others would not; changes nothing',
  options: [
    { flags: '--definition <name>', description: 'this one only' },
    { flags: '--limit <rows>', description: 'so many rows per definition', default: '100' },
  ],
  run: (context, _args, options) =>
    withComposition(context, async (composition) => {
      const limit = Number(options['limit']);
      if (!Number.isInteger(limit) || limit < 1) throw new CliError('--limit must be 1 or more', cliExitCodes.usage);
      for (const { definition, source } of chosen(composition, options['definition'])) {
        for (const state of await source.explain(limit)) {
          const explanation = explainRow(definition.name, state);
          context.outputLine(explanation, explanationText(explanation));
        }
      }
    }),
};

export const verbs: readonly IntegratorVerb[] = [runVerb, onceVerb, explainVerb, statusVerb, backfillVerb, replayVerb];
