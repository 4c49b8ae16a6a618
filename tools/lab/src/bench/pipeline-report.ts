import { formatDuration } from '../report.ts';
import type { PipelineBenchReport } from './pipeline.ts';
import type { Spread } from './statistics.ts';

/** What the pipeline is meant to reach. A timing is no test: the exit code does not depend on them. */
export const aims = { ratio: 1.05, oneShardOverheadMs: 500, commitToFirstTaskMs: 500 } as const;

function spreadText(spread: Spread, show: (value: number) => string): string {
  const { count, min, p25, median, p75, max } = spread;
  return `median ${show(median)} (min ${show(min)}, quartiles ${show(p25)} and ${show(p75)}, max ${show(max)}; ${count} times)`;
}

function aimText(reached: number, aim: number, show: (value: number) => string): string {
  return `${reached < aim ? 'reached' : 'MISSED'} (aim: under ${show(aim)})`;
}

function cpuText({ services, servicesTotal, engine }: PipelineBenchReport['cpuSeconds']): readonly string[] {
  const used = Object.entries(services)
    .sort(([, a], [, b]) => b - a)
    .map(([name, seconds]) => `${name} ${seconds.toFixed(2)}`);
  return [
    `services' CPU per run: ${servicesTotal.toFixed(2)} s; engine ${engine.toFixed(2)} s (medians)`,
    `  ${used.join(', ')}`,
  ];
}

function hopLines(hops: PipelineBenchReport['hops']): readonly string[] {
  const width = Math.max(...hops.map((hop) => hop.name.length));
  return hops.map((hop) => `  ${hop.name.padEnd(width)}  ${formatDuration(hop.ms).padStart(9)}`);
}

const notes = [
  'What counts as what: bare = `xva-engine run` per shard from folders laid out before, nothing else, no merge.',
  'Pipeline = from just before the insert of the request row to the record that says done, merge included.',
  'Engine CPU = the task processes (shards and merge) that the Batch emulator started and waited for, with their own',
  'children; services = all other processes of the lab, stand-ins for Azure and SQL Server included.',
];

/** The report for people. */
export function formatPipelineBench(report: PipelineBenchReport): string {
  const { ratio, oneShard } = report;
  const plain = (value: number): string => value.toFixed(3);
  return [
    `book ${report.book}: ${report.shards.length} shards on ${report.slots} slots, ${report.pairs.length} alternating pairs`,
    `bare       ${spreadText(report.bareMs, formatDuration)}`,
    `pipeline   ${spreadText(report.pipelineMs, formatDuration)}`,
    `ratio      ${spreadText(ratio, plain)}`,
    `           ${aimText(ratio.median, aims.ratio, String)}`,
    ...cpuText(report.cpuSeconds),
    'time per hop (medians):',
    ...hopLines(report.hops),
    '',
    `one shard: ${oneShard.overheadMs.count} runs`,
    `engine alone            ${spreadText(oneShard.bareMs, formatDuration)}`,
    `overhead                ${spreadText(oneShard.overheadMs, formatDuration)}, p95 ${formatDuration(oneShard.overheadMs.p95)}`,
    `                        ${aimText(oneShard.overheadMs.median, aims.oneShardOverheadMs, formatDuration)}`,
    `commit → first task     ${spreadText(oneShard.commitToFirstTaskMs, formatDuration)}, p95 ${formatDuration(oneShard.commitToFirstTaskMs.p95)}`,
    `                        ${aimText(oneShard.commitToFirstTaskMs.median, aims.commitToFirstTaskMs, formatDuration)}`,
    ...cpuText(oneShard.cpuSeconds),
    'time per hop (medians):',
    ...hopLines(oneShard.hops),
    '',
    ...notes,
  ].join('\n');
}
