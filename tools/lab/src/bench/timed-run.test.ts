import type { RunProgress, RunView } from '@xva/contracts';
import { hopsOfMoments, momentsOf } from './timed-run.ts';

const at = (ms: number): string => new Date(ms).toISOString();
const task = (taskId: string, start: number | null, end: number | null): RunProgress['tasks'][number] => ({
  taskId,
  attempt: 1,
  state: 'accepted',
  nettingSets: [],
  phase: null,
  percent: 100,
  exitCode: 0,
  startTime: start === null ? null : at(start),
  endTime: end === null ? null : at(end),
  nodeId: null,
});
const run = { createdAt: at(1_300), finishedAt: at(9_000) } as RunView;
const progressOf = (...tasks: RunProgress['tasks']): RunProgress => ({ tasks }) as RunProgress;

describe('momentsOf', () => {
  it('takes the first start and the last end of the shards, not the merge’s', () => {
    const progress = progressOf(
      task('shard-0001', 1_500, 6_000),
      task('shard-0002', 1_450, 8_000),
      task('merge', 8_100, 8_600),
    );
    const moments = momentsOf(1_000, 1_200, run, progress);
    expect(moments).toMatchObject({ firstTaskStart: 1_450, lastShardEnd: 8_000, mergeStart: 8_100, mergeEnd: 8_600 });
    const hops = hopsOfMoments(moments);
    expect(hops.map((hop) => hop.ms)).toEqual([200, 100, 150, 6_550, 100, 500, 400]);
    expect(hops.reduce((sum, hop) => sum + hop.ms, 0)).toBe(moments.done - moments.asked);
  });

  it('names what is not known instead of giving a time', () => {
    expect(() => momentsOf(0, 0, run, progressOf(task('shard-0001', 1, null), task('merge', 2, 3)))).toThrow(
      'the end of shard-0001 is not known',
    );
    expect(() => momentsOf(0, 0, run, progressOf(task('shard-0001', 1, 2)))).toThrow('the start of the merge');
  });
});
