import { Cron } from 'croner';
import { mark, runFacts, sweep, type SweepDeps, type SweepPolicy, type SweepReport } from '@xva/flow-sweep';
import { cliExitCodes, CliError, describeError, startOpsServer, type Verb, type VerbContext } from '@xva/runtime';
import { compose, type Composition } from './compose.ts';
import type { configSchema, GcConfig } from './config.ts';
import { loadPolicy } from './policy-file.ts';
import { outcomeText, reportText } from './report-text.ts';

type Context = VerbContext<typeof configSchema>;
type GcVerb = Verb<typeof configSchema>;

async function withDeps<T>(context: Context, use: (composition: Composition) => Promise<T>): Promise<T> {
  const composition = await compose(context.config, context.logger);
  return use(composition);
}

/** Sortable by time, so that the newest report is the last by name. */
function newReportId(deps: SweepDeps): string {
  return `sweep-${deps.clock.now().toISOString().replaceAll(/[-:.]/g, '').toLowerCase()}`;
}

async function markNow(deps: SweepDeps, config: GcConfig): Promise<{ policy: SweepPolicy; report: SweepReport }> {
  const policy = loadPolicy(config.policyFile);
  return { policy, report: await mark(deps, policy, newReportId(deps)) };
}

async function loadReport(deps: SweepDeps, id: string): Promise<SweepReport> {
  const reportId = id === '' ? await deps.ledger.latestReportId() : id;
  const report = reportId === undefined ? undefined : await deps.ledger.loadReport(reportId);
  if (report === undefined)
    throw new CliError(`no report ${id === '' ? 'yet: run `mark` first' : id}`, cliExitCodes.refused);
  return report;
}

async function runCycle(composition: Composition, context: Context): Promise<void> {
  const { deps, metrics } = composition;
  const { policy, report } = await markNow(deps, context.config);
  metrics.marked(report);
  if (!context.config.sweepEnabled || report.items.length === 0) return;
  const outcome = await sweep(deps, policy, report, { approved: false, signal: context.lifecycle.stopTaking });
  if (outcome.outcome === 'refused')
    deps.logger.warn({ reportId: report.reportId, reason: outcome.reason }, 'sweep asks for approval');
  else metrics.swept(outcome.acts);
}

const markVerb: GcVerb = {
  name: 'mark',
  description: 'look at everything, decide and store a report; takes nothing',
  run: (context) =>
    withDeps(context, async ({ deps }) => {
      const { report } = await markNow(deps, context.config);
      context.output(report, reportText(report));
    }),
};

export const verbs: readonly GcVerb[] = [
  {
    name: 'run',
    description: 'mark and report on the schedule; sweep too if sweepEnabled',
    run: (context) =>
      withDeps(context, async (composition) => {
        const { config, lifecycle, logger } = context;
        const { checks, registry } = composition;
        const ops = await startOpsServer({
          host: config.opsHost,
          port: config.opsPort,
          checks,
          registry,
          stopping: lifecycle.stopTaking,
        });
        const options = { timezone: config.scheduleTimezone, protect: true, paused: true };
        const job = new Cron(config.schedule, options, async () => {
          await runCycle(composition, context).catch((error: unknown) =>
            logger.error({ error: describeError(error) }, 'cycle failed'),
          );
        });
        try {
          job.resume();
          context.output(
            { ready: true, name: 'xva-batch-gc', pid: process.pid, endpoints: { ops: ops.url } },
            JSON.stringify({ ready: true, name: 'xva-batch-gc', pid: process.pid, endpoints: { ops: ops.url } }),
          );
          await new Promise<void>((resolve) =>
            lifecycle.stopTaking.addEventListener('abort', () => resolve(), { once: true }),
          );
          job.stop();
          while (job.isBusy() && !lifecycle.stopWorking.aborted)
            await composition.deps.clock.sleep(20, lifecycle.stopWorking);
        } finally {
          job.stop();
          await ops.close();
        }
      }),
  },
  { ...markVerb, name: 'once', description: 'one mark and its report; takes nothing' },
  markVerb,
  {
    name: 'report',
    description: 'show a stored report (the newest when no id is given)',
    args: [{ name: '[reportId]', description: 'id of the report' }],
    run: (context, [id = '']) =>
      withDeps(context, async ({ deps }) => {
        const report = await loadReport(deps, id);
        context.output(report, reportText(report));
      }),
  },
  {
    name: 'sweep',
    description: 'take what a report marked, each item re-checked; without --yes it only shows the report',
    args: [{ name: '[reportId]', description: 'id of the report; the newest when absent' }],
    options: [
      { flags: '--yes', description: 'really take', default: false },
      { flags: '--approve', description: 'also above the ceiling', default: false },
    ],
    run: (context, [id = ''], options) =>
      withDeps(context, async ({ deps, metrics }) => {
        const policy = loadPolicy(context.config.policyFile);
        const report = await loadReport(deps, id);
        if (options['yes'] !== true) {
          context.output(report, `${reportText(report)}\ndry run: add --yes to take these`);
          return;
        }
        const outcome = await sweep(deps, policy, report, {
          approved: options['approve'] === true,
          signal: context.lifecycle.stopTaking,
        });
        context.output(outcome, outcomeText(outcome));
        if (outcome.outcome === 'refused') throw new CliError(`refused: ${outcome.reason}`, cliExitCodes.refused);
        metrics.swept(outcome.acts);
        const failed = outcome.acts.filter((act) => act.outcome === 'failed').length;
        if (failed > 0) throw new CliError(`${failed} items could not be taken; each says why`);
      }),
  },
  {
    name: 'explain',
    description: 'why a run is kept or would go',
    args: [{ name: '<runId>', description: 'run id' }],
    run: (context, [runId = '']) =>
      withDeps(context, async ({ deps }) => {
        const { report } = await markNow(deps, context.config);
        const marked = report.items.filter((item) => item.id.includes(runId));
        const facts = await runFacts(deps.runs, runId);
        const lines = [
          `run ${runId}: record ${facts.runState}${facts.runPinned ? ', pinned' : ''}`,
          ...marked.map((item) => `  ${item.kind} ${item.id} would go: ${item.reason}`),
        ];
        context.output(
          { runId, ...facts, marked },
          [...lines, ...(marked.length === 0 ? ['  nothing of it would go'] : [])].join('\n'),
        );
      }),
  },
  ...(['pin', 'unpin'] as const).map((name): GcVerb => ({
    name,
    description:
      name === 'pin' ? 'keep a run and all that it needs, whatever the policy says' : 'let the policy decide again',
    args: [{ name: '<runId>', description: 'run id' }],
    options: [{ flags: '--reason <text>', description: 'why', default: '' }],
    run: (context, [runId = ''], options) =>
      withDeps(context, async ({ runTable }) => {
        const found = await runTable.get(runId);
        if (found === undefined) throw new CliError(`no run ${runId}`, cliExitCodes.refused);
        if (name === 'pin') await runTable.pin(runId, 'cli', String(options['reason']));
        else await runTable.unpin(runId);
        context.output(
          { runId, pinned: name === 'pin' },
          `${runId}: ${name === 'pin' ? 'pinned' : 'no longer pinned'}`,
        );
      }),
  })),
];
