import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import {
  mark,
  recordLine,
  reportPages,
  sweep,
  type MarkedItem,
  type MarkOptions,
  type SweepDeps,
  type SweepPolicy,
  type SweepReport,
} from '@xva/flow-sweep';
import { cliExitCodes, CliError, type Verb, type VerbContext } from '@xva/runtime';
import { compose, type Composition } from './compose.ts';
import type { configSchema } from './config.ts';
import { loadPolicy } from './policy-file.ts';
import { outcomeText, reportText } from './report-text.ts';

export type Context = VerbContext<typeof configSchema>;
export type GcVerb = Verb<typeof configSchema>;

/** Items shown with a report; all of them are in its CSV. */
const shownItems = 1_000;

export async function withDeps<T>(context: Context, use: (composition: Composition) => Promise<T>): Promise<T> {
  const composition = await compose(context.config, context.logger, crashPointOf(context.config.crashAt));
  try {
    return await use(composition);
  } finally {
    composition.close();
  }
}

/** Sortable by time, so that the newest report is the last by name. */
function newReportId(deps: SweepDeps): string {
  return `sweep-${deps.clock.now().toISOString().replaceAll(/[-:.]/g, '').toLowerCase()}`;
}

export async function markNow(
  composition: Composition,
  context: Context,
  options: MarkOptions = {},
): Promise<{ policy: SweepPolicy; report: SweepReport }> {
  const policy = loadPolicy(context.config.policyFile);
  const report = await mark(composition.deps, policy, newReportId(composition.deps), options);
  composition.metrics.marked(report);
  return { policy, report };
}

export async function loadReport(deps: SweepDeps, id: string): Promise<SweepReport> {
  if (!/^[a-z0-9-]{0,80}$/.test(id)) throw new CliError('a report id is made of a-z, 0-9 and -', cliExitCodes.usage);
  const reportId = id === '' ? await deps.ledger.latestReportId() : id;
  const report = reportId === undefined ? undefined : await deps.ledger.loadReport(reportId);
  if (report === undefined)
    throw new CliError(`no report ${id === '' ? 'yet: run `mark` first' : id}`, cliExitCodes.refused);
  return report;
}

async function firstItems(deps: SweepDeps, report: SweepReport): Promise<readonly MarkedItem[]> {
  const items: MarkedItem[] = [];
  for await (const page of reportPages(deps.ledger, report)) {
    items.push(...page.slice(0, shownItems - items.length));
    if (items.length >= shownItems) break;
  }
  return items;
}

async function showReport(context: Context, deps: SweepDeps, report: SweepReport, then = ''): Promise<void> {
  const items = await firstItems(deps, report);
  context.output({ ...report, items }, `${reportText(report, items)}${then}`);
}

async function markAndShow(
  context: Context,
  options: Readonly<Record<string, string | boolean | undefined>>,
): Promise<void> {
  await withDeps(context, async (composition) => {
    const file = options['record'];
    if (typeof file !== 'string') {
      const { report } = await markNow(composition, context);
      return showReport(context, composition.deps, report);
    }
    const stream = createWriteStream(file);
    const { report } = await markNow(composition, context, {
      onLooked: (looked, at) => void stream.write(`${recordLine(looked, at)}\n`),
    });
    stream.end();
    await once(stream, 'finish');
    return showReport(context, composition.deps, report);
  });
}

const recordOption = {
  flags: '--record <file>',
  description: 'also write all that was looked at, for `policy test`',
} as const;

export const markVerb: GcVerb = {
  name: 'mark',
  description: 'look at everything, decide and store a report; takes nothing',
  options: [recordOption],
  run: (context, _args, options) => markAndShow(context, options),
};

export const onceVerb: GcVerb = { ...markVerb, name: 'once', description: 'one mark and its report; takes nothing' };

export const reportVerb: GcVerb = {
  name: 'report',
  description: 'show a stored report (the newest when no id is given)',
  args: [{ name: '[reportId]', description: 'id of the report' }],
  options: [
    { flags: '--format <format>', description: 'text (or JSON with --json), csv or html: all items', default: 'text' },
  ],
  run: (context, [id = ''], options) =>
    withDeps(context, async ({ deps }) => {
      const report = await loadReport(deps, id);
      const { format } = options;
      if (format === 'text') return showReport(context, deps, report);
      if (format !== 'csv' && format !== 'html')
        throw new CliError(`--format must be text, csv or html, not ${String(format)}`, cliExitCodes.usage);
      const parts: string[] = [];
      for await (const part of deps.ledger.loadDocument(report.reportId, format)) parts.push(part);
      context.output({ reportId: report.reportId, format, text: parts.join('') }, parts.join('').trimEnd());
    }),
};

export const sweepVerb: GcVerb = {
  name: 'sweep',
  description: 'take what a report marked, each item re-checked; without --yes it only shows the report',
  args: [{ name: '[reportId]', description: 'id of the report; the newest when absent' }],
  options: [
    { flags: '--yes', description: 'really take', default: false },
    { flags: '--approve <reportId>', description: 'also above the ceiling: the id of the report that you read' },
  ],
  run: (context, [id = ''], options) =>
    withDeps(context, async ({ deps, metrics }) => {
      const policy = loadPolicy(context.config.policyFile);
      const report = await loadReport(deps, id);
      if (options['yes'] !== true) return showReport(context, deps, report, '\ndry run: add --yes to take these');
      const { approve } = options;
      const outcome = await sweep(deps, policy, report, {
        approved: typeof approve === 'string' ? approve : undefined,
        signal: context.lifecycle.stopTaking,
        onActs: (acts) => metrics.acted(acts),
      });
      context.output(outcome, outcomeText(outcome));
      if (outcome.outcome === 'refused') throw new CliError(`refused: ${outcome.reason}`, cliExitCodes.refused);
      const failed = Object.entries(outcome.counts).reduce(
        (sum, [name, count]) => sum + (name.startsWith('failed ') ? count : 0),
        0,
      );
      if (failed > 0) throw new CliError(`${failed} items could not be taken; the audit says why of each`);
    }),
};

/** A switch for tests: the process ends itself with SIGKILL at the Nth passage of a named point, `name` or `name:N`. */
export function crashPointOf(setting: string | undefined): ((name: string) => void) | undefined {
  if (setting === undefined || setting === '') return undefined;
  const [wanted = '', times = '1'] = setting.split(':');
  let left = Number(times);
  return (name) => {
    if (name !== wanted && wanted !== '*') return;
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  };
}
