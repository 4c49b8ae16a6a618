import type { PollOutcome } from '@xva/flow-detect';
import {
  cliExitCodes,
  CliError,
  describeError,
  startOpsServer,
  systemClock,
  type Verb,
  type VerbContext,
} from '@xva/runtime';
import { compose, type Composition, type Station } from './compose.ts';
import type { configSchema } from './config.ts';
import { explainRow, explanationText } from './explain.ts';
import { runSchedule, runWindow, type PollingDeps } from './polling.ts';

type Context = VerbContext<typeof configSchema>;
type IntegratorVerb = Verb<typeof configSchema>;

/** Composes, uses, and closes; when the grace time is over what is still under way is let go of. */
async function withComposition(context: Context, use: (composition: Composition) => Promise<void>): Promise<void> {
  const composition = compose(context.config, context.logger);
  const { stopWorking } = context.lifecycle;
  const overtime = new Promise<void>((resolve) => {
    stopWorking.addEventListener('abort', () => resolve(), { once: true });
  });
  try {
    await Promise.race([use(composition), overtime]);
  } finally {
    await Promise.race([composition.close(stopWorking.aborted), overtime]);
  }
}

function pollingOf(context: Context, { metrics }: Composition, { definition, detect }: Station): PollingDeps {
  const { rowConcurrency } = context.config;
  const { stopTaking } = context.lifecycle;
  return { definition, detect, rowConcurrency, clock: systemClock, random: Math.random, metrics, stopTaking };
}

/** All stations, or the one that is named. @throws CliError (5) for a name that no enabled definition has */
function chosen(composition: Composition, name: string | boolean | undefined): readonly Station[] {
  if (typeof name !== 'string') return composition.stations;
  const found = composition.stations.filter(({ definition }) => definition.name === name);
  if (found.length > 0) return found;
  const known = composition.stations.map(({ definition }) => definition.name).join(', ');
  throw new CliError(`no enabled definition is called ${name} (there are: ${known})`, cliExitCodes.refused);
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
      for (const station of chosen(composition, options['definition'])) {
        const { definition } = station;
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

export const verbs: readonly IntegratorVerb[] = [runVerb, onceVerb, explainVerb];
