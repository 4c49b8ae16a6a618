import { createWriteStream, readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  finalStates,
  parseContract,
  planViewSchema,
  resultSummarySchema,
  runPageSchema,
  runProgressSchema,
  runViewSchema,
  type RunView,
} from '@xva/contracts';
import { cliExitCodes, CliError, printable, systemClock, type Verb } from '@xva/runtime';
import { z } from 'zod';
import type { configSchema } from '../config.ts';
import { resultText } from './result-text.ts';
import { ask, askJson, integerOption, tableText, textOption, unknownVerb, type Context, type Options } from './ask.ts';
import { sentEvents } from './sent-events.ts';

const known = [
  ...['list', 'show', 'watch', 'cancel', 'pause', 'resume', 'priority', 'retry', 'logs', 'results', 'plan', 'submit'],
] as const;

function stateOf(run: RunView): string {
  return run.paused === null ? (run.outcome ?? run.state) : `${run.state} (paused)`;
}

function cells(run: RunView): readonly string[] {
  const { book, asOf, cut, scenario, revision } = run.requestKey;
  const key = `${book} ${asOf} ${cut} ${scenario} r${revision}`;
  return [run.runId, stateOf(run), key, `${run.accepted}/${run.shards}`, run.desk, String(run.priority)];
}
const heads = ['RUN', 'STATE', 'REQUEST', 'SHARDS', 'DESK', 'PRIORITY'];

function line(run: RunView): string {
  return `${run.updatedAt}  ${run.runId}  ${stateOf(run)}  ${run.accepted}/${run.shards} shards  v${run.version}`;
}

function details(run: RunView): string {
  const { cost, waiting } = run;
  const amount = cost?.amount === null || cost?.amount === undefined ? '' : `, ${cost.amount} ${cost.currency ?? ''}`;
  return [
    tableText(heads, [cells(run)]),
    ...(waiting === null ? [] : [`waits since ${waiting.since}: ${waiting.code}: ${printable(waiting.message)}`]),
    ...(cost === null ? [] : [`used ${cost.slotSeconds} slot-seconds, ${cost.nodeHours} node-hours${amount}`]),
    ...run.jobs.map((job) => `job ${job.jobId} in pool ${job.poolId} (${job.poolClass}): ${printable(job.reason)}`),
    ...run.reasons.map((one) => `${one.at} ${one.code} ${one.subject}: ${printable(one.message)}`),
  ].join('\n');
}

async function list(context: Context, options: Options): Promise<void> {
  const query = new URLSearchParams();
  for (const name of ['state', 'book', 'asOf', 'from', 'to', 'cut', 'scenario', 'desk']) {
    const value = textOption(options, name);
    if (value !== undefined) query.set(name, value);
  }
  const most = integerOption(options, 'limit', 1, 1_000_000) ?? Number.POSITIVE_INFINITY;
  const shown: RunView[] = [];
  for (let count = 0; count < most;) {
    query.set('limit', String(Math.min(200, most - count)));
    const page = parseContract(runPageSchema, await askJson(context, `/v1/runs?${query.toString()}`), 'page');
    if (context.json) for (const run of page.items) context.outputLine(run, '');
    else shown.push(...page.items);
    count += page.items.length;
    if (page.nextPage === undefined) break;
    query.set('page', page.nextPage);
  }
  if (!context.json) context.output(shown, tableText(heads, shown.map(cells)));
}

/** Asked anew: it may have aborted meanwhile. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Follows the events until the run is over; goes on where it was after a break. Exit code 1 unless it was published. */
async function watch(context: Context, path: string): Promise<void> {
  const { stopTaking } = context.lifecycle;
  let last: string | undefined;
  for (let failures = 0; !stopTaking.aborted;) {
    try {
      const headers = { accept: 'text/event-stream', 'last-event-id': last };
      const response = await ask(context, `${path}/events`, { headers, signal: stopTaking });
      failures = 0;
      for await (const event of sentEvents(response)) {
        if (event.event !== 'run') continue;
        last = event.id;
        const run = parseContract(runViewSchema, JSON.parse(event.data), 'run');
        context.outputLine(run, line(run));
        if (finalStates.has(run.state) && run.finishedAt !== null) {
          if (run.state === 'done') return;
          throw new CliError(`run ${run.runId} ended as ${run.state}`);
        }
      }
      if (response.status === 204) return;
    } catch (error) {
      if (isAborted(stopTaking)) return;
      if (error instanceof CliError && error.exitCode !== cliExitCodes.notReady) throw error;
      failures += 1;
      if (failures > 10) throw error;
    }
    await systemClock.sleep(Math.min(10_000, 200 * 2 ** failures), stopTaking);
  }
}

async function show(context: Context, path: string): Promise<void> {
  const run = parseContract(runViewSchema, await askJson(context, path), 'run');
  const progress = parseContract(runProgressSchema, await askJson(context, `${path}/progress`), 'progress');
  const states = Object.entries(Object.groupBy(progress.tasks, (task) => task.state))
    .map(([state, tasks]) => `${tasks.length} ${state}`)
    .join(', ');
  const eta = progress.eta === null ? '' : `, likely done ${progress.eta}`;
  const text = `${details(run)}\n${progress.percent} % · ${states}${eta}`;
  context.output({ ...run, progress }, text);
}

async function command(context: Context, verb: string, path: string, options: Options): Promise<void> {
  const version = integerOption(options, 'ifVersion', 1, 1e9);
  const headers = { 'if-match': version === undefined ? undefined : `"${version}"` };
  const priority = integerOption(options, 'to', -1000, 1000);
  if (verb === 'priority' && priority === undefined)
    throw new CliError('runs priority needs --to and a number from -1000 to 1000', cliExitCodes.usage);
  const question =
    verb === 'priority'
      ? { method: 'PUT' as const, body: { priority }, headers }
      : { method: 'POST' as const, headers };
  const run = parseContract(runViewSchema, await askJson(context, `${path}/${verb}`, question), 'run');
  context.output(run, details(run));
}

async function toOutput(context: Context, response: Response, out: string | undefined): Promise<void> {
  if (response.body === null) return;
  const body = Readable.fromWeb(response.body);
  if (out !== undefined) {
    await pipeline(body, createWriteStream(out, { flags: 'wx' }));
    context.output({ file: out }, `written to ${out}`);
    return;
  }
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split('\n');
    rest = lines.pop() ?? '';
    for (const text of lines) context.outputLine(text, printable(text.replace(/\r$/, '')));
  }
  rest += decoder.decode();
  if (rest !== '') context.outputLine(rest, printable(rest));
}

async function logs(context: Context, path: string, options: Options): Promise<void> {
  const task = textOption(options, 'task');
  if (task === undefined) throw new CliError('runs logs needs --task, such as shard-0001 or merge', cliExitCodes.usage);
  const attempt = integerOption(options, 'attempt', 1, 9999);
  const tail = integerOption(options, 'tail', 1, 1_048_576);
  const query = attempt === undefined ? '' : `?attempt=${attempt}`;
  const log = textOption(options, 'log') ?? 'stdout';
  const headers = { range: tail === undefined ? undefined : `bytes=-${tail}` };
  const response = await ask(
    context,
    `${path}/tasks/${encodeURIComponent(task)}/logs/${encodeURIComponent(log)}${query}`,
    {
      headers,
    },
  );
  await toOutput(context, response, textOption(options, 'out'));
}

const resultsSchema = z.object({ summary: resultSummarySchema });

async function results(context: Context, path: string, options: Options): Promise<void> {
  const table = textOption(options, 'table');
  if (table !== undefined) {
    const format = textOption(options, 'format') ?? (context.json ? 'json' : 'csv');
    const out = textOption(options, 'out');
    if (format === 'parquet' && out === undefined)
      throw new CliError('Parquet is not for a terminal: give --out FILE', cliExitCodes.usage);
    const set = textOption(options, 'nettingSet');
    const query = new URLSearchParams({ format, ...(set === undefined ? {} : { nettingSet: set }) });
    const response = await ask(context, `${path}/results/tables/${encodeURIComponent(table)}?${query.toString()}`);
    if (format === 'json' && out === undefined) {
      const value: unknown = await response.json();
      context.output(value, JSON.stringify(value, null, 2));
    } else await toOutput(context, response, out);
    return;
  }
  const answer = await askJson(context, `${path}/results`);
  const { summary } = parseContract(resultsSchema, answer, 'results');
  context.output(answer, resultText(summary));
}

function requestFrom(options: Options): unknown {
  const file = textOption(options, 'request');
  if (file === undefined) throw new CliError('give --request FILE with a job request as JSON', cliExitCodes.usage);
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as unknown;
  } catch (error) {
    throw new CliError(`${file} cannot be read as JSON: ${(error as Error).message}`, cliExitCodes.usage);
  }
}

async function plan(context: Context, options: Options): Promise<void> {
  const body = requestFrom(options);
  const view = parseContract(planViewSchema, await askJson(context, '/v1/plans', { method: 'POST', body }), 'plan');
  const { cost, eta, predicted, pool } = view;
  const amount = cost.amount === null ? 'no price is known' : `${cost.amount} ${cost.currency ?? ''}`;
  const rows = view.shards.map((shard) => [shard.taskId, String(shard.cpuSeconds), shard.nettingSets.join(' ')]);
  const text = [
    `run ${view.runId}${view.existing === null ? '' : ` exists (${view.existing})`}, pool ${pool.poolId} with ${pool.slots} slots`,
    tableText(['SHARD', 'CPU S', 'NETTING SETS'], rows),
    `${predicted.cpuSeconds} CPU seconds, ${cost.nodeHours} node-hours: ${amount}`,
    `starts in ${eta.startsInSeconds} s, ends ${eta.endsAt}${eta.meetsDeadline === false ? ' (AFTER ITS DEADLINE)' : ''}`,
    ...view.refusals.map((refusal) => `would be refused: ${refusal.code} ${refusal.subject}: ${refusal.message}`),
  ];
  context.output(view, text.join('\n'));
  if (view.refusals.length > 0) throw new CliError('the run would be refused', cliExitCodes.refused);
}

async function submit(context: Context, options: Options): Promise<void> {
  const answer = await askJson(context, '/v1/runs', { method: 'POST', body: requestFrom(options) });
  const run = parseContract(runViewSchema, answer, 'run');
  context.output(run, details(run));
}

export const runsVerb: Verb<typeof configSchema> = {
  name: 'runs',
  description: 'ask a running controller about runs, and steer them',
  args: [
    { name: '<what>', description: known.join(', ') },
    { name: '[runId]', description: 'for all but list, plan and submit' },
  ],
  options: [
    { flags: '--state <states>', description: 'list: only these states, comma-separated' },
    { flags: '--book <book>', description: 'list: only this book' },
    { flags: '--cut <cut>', description: 'list: only this cut' },
    { flags: '--scenario <scenario>', description: 'list: only this scenario' },
    { flags: '--desk <desk>', description: 'list: only this desk' },
    { flags: '--as-of <date>', description: 'list: only this as-of date' },
    { flags: '--from <date>', description: 'list: as-of dates from here' },
    { flags: '--to <dateOrPriority>', description: 'list: as-of dates up to here; priority: -1000 to 1000' },
    { flags: '--limit <count>', description: 'list: no more than these' },
    { flags: '--if-version <version>', description: 'cancel, pause, resume, retry, priority: only at this version' },
    { flags: '--task <task>', description: 'logs: shard-0001 … or merge' },
    { flags: '--log <log>', description: 'logs: stdout (default), stderr or engine' },
    { flags: '--attempt <attempt>', description: 'logs: of this attempt' },
    { flags: '--tail <bytes>', description: 'logs: only the last so many bytes' },
    { flags: '--table <table>', description: 'results: a table instead of the summary' },
    { flags: '--format <format>', description: 'results: json, csv or parquet' },
    { flags: '--netting-set <id>', description: 'results: only rows of this netting set' },
    { flags: '--out <file>', description: 'logs, results: into a new file' },
    { flags: '--request <file>', description: 'plan, submit: the job request as JSON' },
  ],
  run: async (context, [what, runId = ''], options) => {
    if (what === 'list') return list(context, options);
    if (what === 'plan') return plan(context, options);
    if (what === 'submit') return submit(context, options);
    if (!known.some((one) => one === what)) throw unknownVerb('runs', what, known);
    if (runId === '') throw new CliError('give a run id', cliExitCodes.usage);
    const path = `/v1/runs/${encodeURIComponent(runId)}`;
    if (what === 'watch') return watch(context, path);
    if (what === 'show') return show(context, path);
    if (what === 'logs') return logs(context, path, options);
    if (what === 'results') return results(context, path, options);
    return command(context, what ?? '', path, options);
  },
};
