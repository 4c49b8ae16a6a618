import { join } from 'node:path';
import { Command } from 'commander';
import { connectLabSql, controllerOf, sampleRows, type LabAccess } from './access.ts';
import { formatPipelineBench } from './bench/pipeline-report.ts';
import { runPipelineBench } from './bench/pipeline.ts';
import { runCampaign } from './campaign.ts';
import { killChild, requireLab, type ChildEvent } from './children.ts';
import { appNames, type AppName } from './components.ts';
import { runDemo } from './demo.ts';
import { formatHops } from './hops.ts';
import { openLayout, repositoryRoot } from './layout.ts';
import { formatDuration, formatXva } from './report.ts';
import { requestRun } from './request.ts';
import { Session, type SessionOptions } from './session.ts';

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const notify = ({ name, event, detail }: ChildEvent): void => {
  if (event === 'died' || event === 'restarted') print(`  ! ${name} ${event} (${detail})`);
};

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(130);
    print('\nstopping (again to force) …');
    stop.abort(new Error('interrupted'));
  });
}

interface CommonOptions {
  readonly folder: string;
  readonly slots?: string;
}

function sessionOptions(options: CommonOptions, more: Partial<SessionOptions>): SessionOptions {
  const slots = options.slots === undefined ? undefined : Number(options.slots);
  return { folder: options.folder, fresh: true, print, slots, ...more };
}

function printAddresses(session: Session): void {
  const { ports, folder } = session.layout;
  print(`\ncontroller API  http://127.0.0.1:${ports.controller} (key in ${join(folder, 'layout.json')}, operatorKey)`);
  print(`input API       http://127.0.0.1:${ports.inputApi}`);
  print(`Batch emulator  http://127.0.0.1:${ports.batch} (control ${ports.batchControl})`);
  print(`Event Hubs      sb://127.0.0.1:${ports.hubs} (control ${ports.hubsControl})`);
  print(`SQL simulator   127.0.0.1:${ports.sql} (control ${ports.sqlControl})`);
  print(`Azurite         http://127.0.0.1:${ports.azuriteBlob} (blob), ${ports.azuriteTable} (table)`);
  print(`settings        ${join(folder, 'config')}; logs ${join(folder, 'logs')}`);
}

async function campaign(options: CommonOptions & { kills: string; seed: string }): Promise<void> {
  // Shards of well under a second: kills fall between them as well as into them.
  const session = await Session.open(sessionOptions(options, { targetShardSeconds: 0.66 }), notify);
  try {
    await session.start();
    const plan = { kills: Number(options.kills), seed: Number(options.seed), print, signal: stop.signal };
    const { ok } = await runCampaign(session, plan);
    process.exitCode = ok ? 0 : 1;
  } finally {
    await session.stop();
  }
}

async function bench(
  name: string,
  options: CommonOptions & {
    pairs: string;
    oneShardPairs: string;
    book: 'demo' | 'small';
    timeout: string;
    json: boolean;
  },
): Promise<void> {
  if (name !== 'pipeline') throw new Error(`no benchmark is called ${name}; there is: pipeline`);
  const told = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  const session = await Session.open(sessionOptions(options, { print: told }), notify);
  try {
    await session.start();
    const report = await runPipelineBench({
      session,
      pairs: Number(options.pairs),
      oneShardPairs: Number(options.oneShardPairs),
      book: options.book,
      slots: options.slots === undefined ? undefined : Number(options.slots),
      print: told,
      signal: stop.signal,
      timeoutMs: Number(options.timeout) * 1000,
    });
    print(options.json ? JSON.stringify(report, null, 2) : formatPipelineBench(report));
  } finally {
    await session.stop();
  }
}

const untilStopped = (): Promise<void> =>
  new Promise((resolve) => {
    if (stop.signal.aborted) resolve();
    stop.signal.addEventListener('abort', () => resolve(), { once: true });
  });

async function demo(
  options: CommonOptions & { keep: boolean; book: 'demo' | 'small'; timeout: string },
): Promise<void> {
  const started = Date.now();
  const session = await Session.open(sessionOptions(options, {}), notify);
  try {
    await session.start();
    print(`everything is up after ${formatDuration(Date.now() - started)}`);
    const checks = await runDemo(session, {
      book: options.book,
      print,
      signal: stop.signal,
      timeoutMs: Number(options.timeout) * 1000,
    });
    const failed = checks.filter((check) => !check.ok);
    print(
      `\n${checks.length - failed.length} of ${checks.length} checks held, after ${formatDuration(Date.now() - started)}`,
    );
    for (const check of failed) print(`FAIL ${check.name}: ${check.detail}`);
    process.exitCode = failed.length === 0 ? 0 : 1;
    if (options.keep) {
      printAddresses(session);
      print('\nrunning until Ctrl-C');
      await untilStopped();
    }
  } finally {
    await session.stop();
  }
}

async function up(options: CommonOptions & { without?: string[]; book: string }): Promise<void> {
  const without = (options.without ?? []).filter((name): name is AppName => appNames.some((known) => known === name));
  const session = await Session.open(sessionOptions(options, { fresh: false, without }), notify);
  try {
    await session.start();
    await session.loadSample(options.book);
    printAddresses(session);
    print('\nrunning until Ctrl-C');
    await untilStopped();
  } finally {
    await session.stop();
  }
}

async function requestInLab(
  options: CommonOptions & { book: string; revision: string; samples?: string; timeout: string },
): Promise<void> {
  const layout = await openLayout(options.folder);
  const access: LabAccess = { layout, api: controllerOf(layout), connectSql: () => connectLabSql(layout) };
  const [request] = (await sampleRows(options.book)).requests;
  if (request === undefined) throw new Error(`the book ${options.book} has no request`);
  const samples = options.samples === undefined ? request.samples : Number(options.samples);
  const row = { ...request, revision: Number(options.revision), samples };
  const followed = await requestRun(access, row, {
    print,
    signal: stop.signal,
    timeoutMs: Number(options.timeout) * 1000,
  });
  if (followed.run.state !== 'done') throw new Error(`run ${followed.runId} ended ${followed.run.state}`);
  const { summary } = await access.api.results(followed.runId);
  print(`\n${formatXva(summary)}\n\n${formatHops(followed.hops)}`);
}

async function sqlInLab(text: string, options: CommonOptions): Promise<void> {
  requireLab(options.folder);
  const sql = await connectLabSql(await openLayout(options.folder));
  try {
    const rows = await sql.query(text);
    for (const row of rows) print(JSON.stringify(row));
    process.stderr.write(`${rows.length} rows\n`);
  } finally {
    sql.close();
  }
}

const defaultFolder = join(repositoryRoot, '.lab');
const program = new Command('lab').description('The whole pipeline on this machine.');
const common = (command: Command): Command =>
  command
    .option('--folder <dir>', 'state, settings and logs', defaultFolder)
    .option('--slots <n>', 'tasks side by side (default: cores)');
common(program.command('demo'))
  .description('from a row to published numbers, checked; exit code 0 only if every check held')
  .option('--keep', 'leave it running', false)
  .option('--book <book>', 'demo or small', 'demo')
  .option('--timeout <seconds>', 'longest time for one run', '900')
  .action(demo);
common(program.command('up'))
  .description('start everything and stay; nothing is asked for')
  .option('--without <component...>', 'leave a component out, to run it with nx serve')
  .option('--book <book>', 'sample book to load', 'demo')
  .action(up);

common(program.command('bench'))
  .description('benchmarks; `pipeline` compares the whole flow with the bare runner')
  .argument('<name>', 'pipeline')
  .option('--pairs <n>', 'alternating pairs of the whole book', '10')
  .option('--one-shard-pairs <n>', 'pairs of a one-shard run', '20')
  .option('--book <book>', 'demo or small', 'demo')
  .option('--timeout <seconds>', 'longest time for one run', '900')
  .option('--json', 'print the report as JSON', false)
  .action(bench);
common(program.command('campaign'))
  .description('seeded kills of every process over many runs; every row must end as one right result')
  .option('--kills <n>', 'kills in all', '20')
  .option('--seed <n>', 'seed of the draw', '1')
  .action(campaign);
program
  .command('request')
  .description('in a running lab: commit a request row and follow it to its numbers')
  .option('--folder <dir>', 'folder of the running lab', defaultFolder)
  .option('--book <book>', 'sample book that is loaded: demo or small', 'demo')
  .option('--revision <n>', 'revision of the request', '1')
  .option('--samples <n>', 'Monte Carlo samples (default: the book’s)')
  .option('--timeout <seconds>', 'longest time for the run', '900')
  .action(requestInLab);
program
  .command('sql')
  .description('in a running lab: run T-SQL on its database, as its owner; a line of JSON for each row')
  .argument('<text>', 'such as "SELECT RequestId, Status, LastError FROM xva.RunRequest"')
  .option('--folder <dir>', 'folder of the running lab', defaultFolder)
  .action(sqlInLab);
program
  .command('kill')
  .description('in a running lab: kill -9 a process of it; the lab starts it again')
  .argument('<name>', 'such as xva-file-event-controller or azure-batch-emulator')
  .option('--folder <dir>', 'folder of the running lab', defaultFolder)
  .action((name: string, options: CommonOptions) => {
    print(`killed ${name} (pid ${killChild(options.folder, name)})`);
  });

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = stop.signal.aborted ? 130 : 1;
}
