import { finalStates, parseContract, problemSchema, runPageSchema, runViewSchema, type RunView } from '@xva/contracts';
import { cliExitCodes, CliError, systemClock, type Verb, type VerbContext } from '@xva/runtime';
import type { configSchema } from '../config.ts';

type Context = VerbContext<typeof configSchema>;

interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly etag: string | null;
}

async function ask(context: Context, method: 'GET' | 'POST', path: string, etag?: string): Promise<Reply> {
  const { controllerUrl, controllerApiKey } = context.config;
  if (controllerUrl === undefined || controllerApiKey === undefined) {
    throw new CliError('runs needs the settings controllerUrl and controllerApiKey', cliExitCodes.badConfig);
  }
  const response = await fetch(new URL(path, controllerUrl), {
    method,
    headers: { 'x-api-key': controllerApiKey, ...(etag === undefined ? {} : { 'if-none-match': etag }) },
    signal: AbortSignal.timeout(30_000),
  });
  if (response.status === 304) return { status: 304, body: undefined, etag: etag ?? null };
  const body: unknown = await response.json();
  if (response.ok) return { status: response.status, body, etag: response.headers.get('etag') };
  const problem = parseContract(problemSchema, body, 'answer');
  throw new CliError(
    `${problem.code}: ${problem.detail ?? problem.title} (request ${problem.requestId ?? '?'})`,
    response.status >= 500 ? cliExitCodes.notReady : cliExitCodes.refused,
  );
}

function line(run: RunView): string {
  const { book, asOf, cut, scenario, revision } = run.requestKey;
  return `${run.runId}  ${(run.outcome ?? run.state).padEnd(10)}  ${book} ${asOf} ${cut} ${scenario} r${revision}  ${run.shards} shards`;
}

function details(run: RunView): string {
  return [
    line(run),
    ...run.jobs.map((job) => `  job ${job.jobId} in pool ${job.poolId}`),
    ...run.reasons.map((reason) => `  ${reason.at} ${reason.code} ${reason.subject}: ${reason.message}`),
  ].join('\n');
}

async function list(context: Context, options: Readonly<Record<string, string | boolean | undefined>>): Promise<void> {
  const query = new URLSearchParams();
  for (const name of ['state', 'book', 'asOf'] as const) {
    const value = options[name];
    if (typeof value === 'string') query.set(name, value);
  }
  for (;;) {
    const page = parseContract(runPageSchema, (await ask(context, 'GET', `/v1/runs?${query.toString()}`)).body, 'page');
    for (const run of page.items) context.outputLine(run, line(run));
    if (page.nextPage === undefined) return;
    query.set('page', page.nextPage);
  }
}

async function watch(context: Context, runId: string): Promise<void> {
  let etag: string | undefined;
  while (!context.lifecycle.stopTaking.aborted) {
    const reply = await ask(context, 'GET', `/v1/runs/${runId}`, etag);
    if (reply.status !== 304) {
      const run = parseContract(runViewSchema, reply.body, 'run');
      context.outputLine(run, line(run));
      if (finalStates.has(run.state)) {
        if (run.state !== 'done') throw new CliError(`run ${runId} ended as ${run.state}`);
        return;
      }
    }
    etag = reply.etag ?? undefined;
    await systemClock.sleep(500, context.lifecycle.stopTaking);
  }
}

export const clientVerb: Verb<typeof configSchema> = {
  name: 'runs',
  description: 'ask a running controller: list, show, watch, cancel, retry',
  args: [
    { name: '<what>', description: 'list, show, watch, cancel or retry' },
    { name: '[runId]', description: 'for all but list' },
  ],
  options: [
    { flags: '--state <states>', description: 'list: only these states, comma-separated' },
    { flags: '--book <book>', description: 'list: only this book' },
    { flags: '--as-of <date>', description: 'list: only this as-of date' },
  ],
  run: async (context, [what, runId = ''], options) => {
    if (what === 'list') return list(context, options);
    if (runId === '') throw new CliError('give a run id', cliExitCodes.usage);
    const path = `/v1/runs/${encodeURIComponent(runId)}`;
    if (what === 'watch') return watch(context, runId);
    const isCommand = what === 'cancel' || what === 'retry';
    if (what !== 'show' && !isCommand) throw new CliError(`runs ${what ?? ''} is not known`, cliExitCodes.usage);
    const { body } = await ask(context, isCommand ? 'POST' : 'GET', isCommand ? `${path}/${what}` : path);
    const run = parseContract(runViewSchema, body, 'run');
    context.output(run, details(run));
  },
};
