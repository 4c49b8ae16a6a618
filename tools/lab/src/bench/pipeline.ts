import { cpus } from 'node:os';
import { join } from 'node:path';
import type { RequestRow } from '../load-book.ts';
import type { LabSql } from '../load-book.ts';
import { formatDuration } from '../report.ts';
import type { Session } from '../session.ts';
import { layShards, runBare, type BenchShard, type LaidShard } from './bare.ts';
import { cpuBetween, readCpu, type CpuReading, type MeasuredProcess } from './cpu-time.ts';
import { mediansByName, pairRatios, quantile, spreadOf, type Spread } from './statistics.ts';
import { hopsOfMoments, timeRun, type TimedRun } from './timed-run.ts';

export interface PipelineBenchOptions {
  /** A lab that is up. Nobody else may use it or the machine meanwhile. */
  readonly session: Session;
  readonly pairs: number;
  readonly book: 'demo' | 'small';
  /** Pairs of the one-shard part, which always runs the small book. */
  readonly oneShardPairs: number;
  /** Tasks side by side, as the session's pool has them; default: the machine's cores. */
  readonly slots?: number | undefined;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
  /** Longest time for one run. */
  readonly timeoutMs: number;
}

export interface BenchPair {
  readonly first: 'bare' | 'pipeline';
  readonly bareMs: number;
  readonly pipelineMs: number;
}

export interface PipelineBenchReport {
  readonly book: string;
  readonly slots: number;
  readonly shards: readonly BenchShard[];
  readonly pairs: readonly BenchPair[];
  /** Pipeline ÷ bare within each pair. */
  readonly ratio: Spread;
  readonly bareMs: Spread;
  readonly pipelineMs: Spread;
  /** CPU seconds of one pipeline run, median over the pairs. */
  readonly cpuSeconds: {
    readonly services: Readonly<Record<string, number>>;
    readonly servicesTotal: number;
    readonly engine: number;
  };
  readonly hops: readonly { readonly name: string; readonly ms: number }[];
  readonly oneShard: {
    readonly bareMs: Spread;
    /** Row committed → result published, less the median of the engine's bare time. */
    readonly overheadMs: Spread;
    readonly commitToFirstTaskMs: Spread;
    readonly cpuSeconds: PipelineBenchReport['cpuSeconds'];
    readonly hops: readonly { readonly name: string; readonly ms: number }[];
  };
}

/** The lab's processes by name; the one that runs the tasks has the engine as its children. */
const services = [
  'xva-db-integrator',
  'xva-file-event-controller',
  'xva-batch-controller-api',
  'xva-batch-gc',
  'input-api',
  'azurite',
  'azure-batch-emulator',
  'event-hubs-emulator',
  'sql-server-simulator',
] as const;

function measured(session: Session): readonly MeasuredProcess[] {
  return services.map((name) => {
    const pid = session.children.pidOf(name);
    if (pid === undefined) throw new Error(`${name} is not running`);
    return { name, pid, runsTasks: name === 'azure-batch-emulator' };
  });
}

interface SeriesOptions extends PipelineBenchOptions {
  readonly sql: LabSql;
  readonly request: RequestRow;
  readonly count: number;
  readonly label: string;
}

interface Series {
  readonly shards: readonly BenchShard[];
  readonly pairs: readonly BenchPair[];
  readonly runs: readonly TimedRun[];
  readonly cpu: readonly Pick<CpuReading, 'services' | 'engine'>[];
}

/** Alternating pairs of one request: its next revision through the pipeline, and its shards bare. */
async function runSeries(options: SeriesOptions): Promise<Series> {
  const { session, sql, request, count, label, print } = options;
  const slots = options.slots ?? cpus().length;
  const timed = (revision: number): Promise<TimedRun> => timeRun(session, sql, { ...request, revision }, options);
  // One run that is not counted: it warms every connection, and its plan and package are what the bare runs use.
  const warm = await timed(request.revision);
  const shards: readonly BenchShard[] = warm.progress.tasks
    .filter((task) => task.taskId !== 'merge')
    .map(({ taskId, nettingSets }) => ({ taskId, nettingSets }));
  const folder = join(session.layout.folder, 'bench', request.book);
  const laid: readonly LaidShard[] = await layShards(session.work, warm.run.packageId, shards, folder);
  await runBare(laid, slots);
  print(`${label}: ${shards.length} shard${shards.length === 1 ? '' : 's'}, ${slots} at a time, ${count} pairs`);
  const processes = measured(session);
  const pairs: BenchPair[] = [];
  const runs: TimedRun[] = [];
  const cpu: Pick<CpuReading, 'services' | 'engine'>[] = [];
  const pipeline = async (index: number): Promise<number> => {
    const before = readCpu(processes);
    const run = await timed(request.revision + 1 + index);
    runs.push(run);
    cpu.push(cpuBetween(before, readCpu(processes)));
    return run.ms;
  };
  for (let index = 0; index < count; index += 1) {
    options.signal.throwIfAborted();
    const first = index % 2 === 0 ? 'bare' : 'pipeline';
    let bareMs = first === 'bare' ? (await runBare(laid, slots)).ms : 0;
    const pipelineMs = await pipeline(index);
    if (first === 'pipeline') bareMs = (await runBare(laid, slots)).ms;
    pairs.push({ first, bareMs, pipelineMs });
    const ratio = (pipelineMs / bareMs).toFixed(3);
    print(
      `  pair ${index + 1} (${first} first): bare ${formatDuration(bareMs)}, pipeline ${formatDuration(pipelineMs)}, ratio ${ratio}`,
    );
  }
  return { shards, pairs, runs, cpu };
}

function medianCpu(cpu: Series['cpu']): PipelineBenchReport['cpuSeconds'] {
  const median = (values: readonly number[]): number => quantile(values, 0.5);
  return {
    services: Object.fromEntries(services.map((name) => [name, median(cpu.map((one) => one.services[name] ?? 0))])),
    servicesTotal: median(cpu.map((one) => Object.values(one.services).reduce((sum, used) => sum + used, 0))),
    engine: median(cpu.map((one) => one.engine)),
  };
}

/**
 * The pipeline against the bare runner, on this machine, in one go: `pairs` alternating pairs of a book, and
 * `oneShardPairs` of a book that is one shard.
 *
 * @throws RunNotCompleteError, ProcessChangedError when a run failed or a process died: such times mean nothing.
 */
export async function runPipelineBench(options: PipelineBenchOptions): Promise<PipelineBenchReport> {
  const { session, book, pairs: count, oneShardPairs } = options;
  const sql = await session.connectSql();
  try {
    const requestOf = async (name: string): Promise<RequestRow> => {
      const [request] = (await session.loadSample(name)).requests;
      if (request === undefined) throw new Error(`the book ${name} has no request`);
      return request;
    };
    const small = await requestOf('small');
    const one = await runSeries({ ...options, sql, request: small, count: oneShardPairs, label: 'one shard' });
    if (one.shards.length !== 1) throw new Error(`the small book became ${one.shards.length} shards, not one`);
    // Revisions go on where the first series ended, so that the small book can be the large one too.
    const request = book === 'small' ? { ...small, revision: oneShardPairs + 10 } : await requestOf(book);
    const whole = await runSeries({ ...options, sql, request, count, label: `book ${request.book}` });
    const bareMedian = quantile(
      one.pairs.map((pair) => pair.bareMs),
      0.5,
    );
    return {
      book: request.book,
      slots: options.slots ?? cpus().length,
      shards: whole.shards,
      pairs: whole.pairs,
      ratio: spreadOf(pairRatios(whole.pairs)),
      bareMs: spreadOf(whole.pairs.map((pair) => pair.bareMs)),
      pipelineMs: spreadOf(whole.pairs.map((pair) => pair.pipelineMs)),
      cpuSeconds: medianCpu(whole.cpu),
      hops: mediansByName(whole.runs.map((run) => hopsOfMoments(run.moments))),
      oneShard: {
        bareMs: spreadOf(one.pairs.map((pair) => pair.bareMs)),
        overheadMs: spreadOf(one.pairs.map((pair) => pair.pipelineMs - bareMedian)),
        commitToFirstTaskMs: spreadOf(one.runs.map(({ moments }) => moments.firstTaskStart - moments.asked)),
        cpuSeconds: medianCpu(one.cpu),
        hops: mediansByName(one.runs.map((run) => hopsOfMoments(run.moments))),
      },
    };
  } finally {
    sql.close();
  }
}
