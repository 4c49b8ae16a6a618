import { itemsOf, World } from './fakes.ts';
import { mark, sweep, sweepPolicySchema, type MarkedItem, type SweepOutcome, type SweepPolicy } from '../src/index.ts';

const runA = 'xva-20260930-rates-aaaaaaaaaaaaaa';
const hash = (digit: string): string => digit.repeat(64);
const day = 86_400_000;
const policyOf = (rules: object, more: object = {}): SweepPolicy =>
  sweepPolicySchema.parse({
    schemaVersion: '1.0',
    name: 'batch',
    minimumAgeSeconds: 60,
    ceiling: { percent: 100 },
    rules,
    ...more,
  });

function world(state: 'running' | 'failed' | 'done' = 'failed'): World {
  const made = new World();
  made.packages.set(hash('1'), [hash('1')]);
  made.put(`objects/${hash('1')}`);
  made.addRun(runA, state, hash('1'), state === 'running' ? null : made.date.toISOString());
  return made;
}
async function cycle(
  at: World,
  policy: SweepPolicy,
): Promise<{ items: readonly MarkedItem[]; outcome: SweepOutcome; kept: Record<string, number> }> {
  const report = await mark(at.deps(), policy, `sweep-${at.reports.size}`);
  const outcome = await sweep(at.deps(), policy, report, { signal: new AbortController().signal });
  return { items: itemsOf(at, report), outcome, kept: report.kept };
}
const short = (items: readonly MarkedItem[]): string[] =>
  items.map(({ kind, id, action, reason }) => `${action} ${kind} ${id}: ${reason}`);

describe('jobs', () => {
  it('completed ones go when their outputs are safe, and not before', async () => {
    const at = world('failed');
    const jobId = `${runA}-a1`;
    at.addTask(jobId, 'shard-0001', { state: 'completed', exitCode: 30, failed: true });
    at.now += day;
    const policy = policyOf({ completedJobs: { retainSeconds: 3600 } });
    expect((await cycle(at, policy)).kept['job:outputs-not-safe']).toBe(1);
    at.put(`run-${runA}/a1/shard-0001/logs/stdout.txt`);
    expect(short((await cycle(at, policy)).items)).toEqual([`delete job ${jobId}: completed-past-retention`]);
    expect(at.jobs.has(jobId)).toBe(false);
    expect(at.records.get(runA)?.record.state).toBe('failed');
  });

  it('of a done run only when its result is published, of a live run never', async () => {
    const at = world('done');
    at.now += day;
    const policy = policyOf({ completedJobs: { retainSeconds: 3600 } });
    expect((await cycle(at, policy)).items).toEqual([]);
    at.published.add(runA);
    at.setState(runA, 'running');
    expect((await cycle(at, policy)).kept['job:live-running']).toBe(1);
    at.setState(runA, 'done');
    expect((await cycle(at, policy)).items).toHaveLength(1);
  });

  it('active with nothing to run are ended, filtered by pool and owner; pinned ones and those of others stay', async () => {
    const at = world('failed');
    for (const id of ['team-one', 'team-two', 'other-job'])
      at.addJob(id, 'active', { poolId: id === 'team-two' ? 'q' : 'p' });
    at.addJob('team-busy', 'active');
    at.addTask('team-busy', 't', { state: 'running' });
    at.addJob('team-pinned', 'active');
    at.pinned.add('job team-pinned');
    at.now += day;
    const policy = policyOf({ idleJobs: { retainSeconds: 3600, where: { idPrefix: 'team-', pools: ['p'] } } });
    const { items, kept } = await cycle(at, policy);
    expect(short(items)).toEqual(['terminate job team-one: nothing-to-run']);
    expect(kept).toMatchObject({ 'job:foreign': 2, 'job:has-tasks-to-run': 1, 'job:pinned': 1 });
    expect(at.jobs.get('team-one')?.state).toBe('completed');
  });

  it.each([
    [undefined, undefined, 'taken'],
    [undefined, 'prod', 'other-environment'],
    ['prod', undefined, 'environment-unknown'],
    ['prod', 'test', 'other-environment'],
    ['prod', 'prod', 'taken'],
  ])(
    'an orphan is only taken in its own environment (policy %s, label %s: %s)',
    async (environment, labelled, expected) => {
      const at = new World();
      const metadata: Record<string, string> = labelled === undefined ? {} : { xva_environment: labelled };
      at.addJob(`${runA}-a1`, 'active', { metadata });
      at.addContainer(`run-${runA}`, metadata);
      at.now += day;
      const rules = { orphanedRuns: { retainSeconds: 3600 } };
      const { items, kept } = await cycle(at, policyOf(rules, environment === undefined ? {} : { environment }));
      if (expected === 'taken') expect(items.map(({ kind }) => kind)).toEqual(['job', 'run-container']);
      else expect(kept).toEqual({ [`job:${expected}`]: 1, [`run-container:${expected}`]: 1 });
      expect(at.jobs.size + at.containers.size).toBe(expected === 'taken' ? 0 : 2);
    },
  );
});

describe('tasks', () => {
  const jobId = `${runA}-a1`;
  const tasks = (at: World): void => {
    at.jobs.set(jobId, {
      ...(at.jobs.get(jobId) ?? { poolId: 'p', metadata: {}, terminateReason: undefined }),
      state: 'active',
      since: at.date,
    });
    at.pools.set('p', {
      state: 'active',
      allocationState: 'steady',
      nodes: new Map([
        ['n1', { state: 'idle', since: at.date }],
        ['n2', { state: 'unusable', since: at.date }],
      ]),
    });
    at.addTask(jobId, 'failed', { state: 'completed', failed: true, exitCode: 1, endTime: at.date });
    at.addTask(jobId, 'lenient', { state: 'completed', failed: true, mayBeSatisfied: true, exitCode: 1 });
    at.addTask(jobId, 'blocked', { dependsOn: ['failed'] });
    at.addTask(jobId, 'in-range', { dependsOnRanges: [{ start: 1, end: 9 }] });
    at.addTask(jobId, '3', { state: 'completed', failed: true, exitCode: 1, endTime: at.date });
    at.addTask(jobId, 'waits', { dependsOn: ['lenient', 'lost'] });
    at.addTask(jobId, 'lost', { state: 'running', startTime: at.date, nodeId: 'n2' });
    at.addTask(jobId, 'gone', { state: 'running', startTime: at.date, nodeId: 'n9' });
    at.addTask(jobId, 'silent', { state: 'running', startTime: at.date, nodeId: 'n1' });
    at.addTask(jobId, 'talks', { state: 'running', startTime: at.date, nodeId: 'n1' });
    at.now += day;
    at.progress.set(`${jobId}/talks`, at.date);
  };
  const policy = policyOf({
    blockedTasks: { retainSeconds: 3600, action: 'terminate' },
    silentTasks: { retainSeconds: 7200, action: 'terminate' },
    lostNodeTasks: { retainSeconds: 600, action: 'requeue' },
  });

  it('blocked for ever, silent and on lost nodes are found by name, and ended or requeued', async () => {
    const at = world('failed');
    tasks(at);
    const { items } = await cycle(at, policy);
    expect(short(items)).toEqual([
      `terminate task ${jobId}/blocked: blocked-by-failed-task: task failed failed`,
      `terminate task ${jobId}/in-range: blocked-by-failed-task: task 3 failed`,
      `requeue task ${jobId}/lost: node-lost: node n2 is unusable`,
      `requeue task ${jobId}/gone: node-lost: node n9 is gone`,
      `terminate task ${jobId}/silent: no-progress: no progress was ever told`,
    ]);
    const states = Object.fromEntries([...at.tasks].map(([id, { state }]) => [id.split('/')[1], state]));
    expect(states).toMatchObject({
      blocked: 'completed',
      lost: 'active',
      gone: 'active',
      silent: 'completed',
      talks: 'running',
      waits: 'active',
    });
  });

  it('of a live run are only told', async () => {
    const at = world('running');
    tasks(at);
    const { items, outcome } = await cycle(at, policy);
    expect(items.every(({ action }) => action === 'report')).toBe(true);
    expect(outcome.outcome !== 'refused' && outcome.acts.every((act) => act.outcome === 'reported')).toBe(true);
    expect(at.tasks.get(`${jobId}/lost`)?.state).toBe('running');
  });

  it('that recovered after the mark stay', async () => {
    const at = world('failed');
    tasks(at);
    const report = await mark(at.deps(), policy, 'sweep-x');
    at.progress.set(`${jobId}/silent`, at.date);
    at.tasks.delete(`${jobId}/gone`);
    at.pools.get('p')?.nodes.set('n2', { state: 'running', since: at.date });
    const outcome = await sweep(at.deps(), policy, report, { signal: new AbortController().signal });
    const acts =
      outcome.outcome === 'refused'
        ? []
        : outcome.acts.map(({ id, outcome: what, reason }) => `${id.split('/')[1]} ${what} ${reason}`);
    expect(acts.slice(2)).toEqual([
      'lost skipped no-longer-so',
      'gone skipped no-longer-so',
      'silent skipped younger-than-minimum-age',
    ]);
  });
});

describe('schedules, pools, preparation', () => {
  it('schedules that are over go; others and those of other owners stay', async () => {
    const at = new World();
    at.schedules.set('xva-nightly', { state: 'completed', since: at.date });
    at.schedules.set('xva-live', { state: 'active', since: at.date });
    at.schedules.set('team-nightly', { state: 'completed', since: at.date });
    at.now += day;
    const { kept } = await cycle(at, policyOf({ schedules: { retainSeconds: 3600, action: 'delete' } }));
    expect([...at.schedules.keys()]).toEqual(['xva-live', 'team-nightly']);
    expect(kept).toMatchObject({ 'schedule:schedule-active': 1, 'schedule:foreign': 1 });
  });

  it('a named pool with idle nodes is emptied; one in use, resizing or not named is not; the saving is told', async () => {
    const at = new World();
    const pool = (state = 'idle', allocationState = 'steady') => ({
      state: 'active',
      allocationState,
      nodes: new Map([['n', { state, since: at.date }]]),
    });
    at.pools.set('idle', pool());
    at.pools.set('busy', pool('running'));
    at.pools.set('wanted', pool());
    at.pools.set('moving', pool('idle', 'resizing'));
    at.pools.set('other', pool());
    at.addJob('someones', 'active', { poolId: 'wanted' });
    at.now += day;
    const rules = { idlePools: { retainSeconds: 3600, pools: ['idle', 'busy', 'wanted', 'moving'], action: 'resize' } };
    const policy = policyOf(rules, { prices: { currency: 'EUR', gibMonth: 0.02, nodeHour: 0.5 } });
    const { kept } = await cycle(at, policy);
    expect([...at.reports.values()][0]?.saved).toEqual({ currency: 'EUR', perMonth: 365 });
    expect([...at.pools].map(([id, { nodes }]) => `${id} ${nodes.size}`)).toEqual([
      'idle 0',
      'busy 1',
      'wanted 1',
      'moving 1',
      'other 1',
    ]);
    expect(kept).toMatchObject({ 'pool:in-use': 2, 'pool:resizing': 1, 'pool:pool-not-in-rule': 1 });
  });

  it('preparation left on nodes is told, or ended with its job', async () => {
    const at = world('failed');
    at.preparations.set(`${runA}-a1`, [{ nodeId: 'n1', since: at.date }]);
    at.now += day;
    const told = await cycle(at, policyOf({ preparationTasks: { retainSeconds: 3600 } }));
    expect(short(told.items)).toEqual([`report preparation ${runA}-a1: preparation-left-on-node`]);
    expect(at.jobs.size).toBe(1);
    await cycle(at, policyOf({ preparationTasks: { retainSeconds: 3600, action: 'delete' } }));
    expect(at.jobs.size).toBe(0);
  });
});
