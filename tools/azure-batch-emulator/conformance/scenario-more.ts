import type { Step } from './scenario.ts';

/** What the scenario does beside pools, jobs and tasks; it leaves nothing behind. The pool is `q`, with one node. */

const done = 'done';
const pool: readonly Step[] = [
  {
    op: 'pool add',
    args: {
      body: {
        id: 'q',
        vmSize: 'standard_d2s_v5',
        targetDedicatedNodes: 1,
        virtualMachineConfiguration: {
          imageReference: { publisher: 'canonical', offer: 'ubuntu-24_04-lts', sku: 'server' },
          nodeAgentSKUId: 'batch.node.ubuntu 24.04',
        },
      },
    },
    expect: done,
  },
  {
    op: 'node list',
    args: { pool: 'q' },
    until: ['[].state', ['idle']],
    save: ['only', '0.id'],
    see: ['#'],
    expect: [1],
  },
];

const images: readonly Step[] = [
  {
    op: 'supported images',
    args: { filter: `osType eq 'linux' and verificationType eq 'verified'` },
    until: ['0.osType', 'linux'],
    see: ['0.osType', '0.verificationType'],
    expect: ['linux', 'verified'],
  },
];

const autoscale: readonly Step[] = [
  // Batch evaluates formulas only of a pool that scales by one.
  {
    op: 'autoscale evaluate',
    args: { pool: 'q', formula: '$TargetDedicatedNodes = 1;' },
    expect: '409 AutoScaleNotEnabledOnPool',
  },
  {
    op: 'autoscale enable',
    args: { pool: 'q', formula: '$TargetDedicatedNodes = max(1, 0);', interval: 'PT5M' },
    expect: done,
  },
  {
    op: 'pool get',
    args: { pool: 'q' },
    until: ['allocationState', 'steady'],
    see: ['enableAutoScale', 'autoScaleFormula'],
    expect: [true, '$TargetDedicatedNodes = max(1, 0);'],
  },
  {
    op: 'autoscale evaluate',
    args: { pool: 'q', formula: '$TargetDedicatedNodes = 2; $NodeDeallocationOption = requeue;' },
    see: ['results', 'error'],
    expect: ['$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue', null],
  },
  {
    op: 'autoscale evaluate',
    args: { pool: 'q', formula: '$TargetDedicatedNodes = nothing;' },
    see: ['error.code'],
    expect: ['AutoScalingFormulaEvaluationError'],
  },
  { op: 'pool resize', args: { pool: 'q', body: { targetDedicatedNodes: 2 } }, expect: '409 PoolAutoScaleEnabled' },
  { op: 'autoscale disable', args: { pool: 'q' }, expect: done },
  { op: 'pool get', args: { pool: 'q' }, until: ['enableAutoScale', false], see: ['enableAutoScale'], expect: [false] },
];

const users: readonly Step[] = [
  {
    op: 'node user add',
    args: { pool: 'q', node: '$only', body: { name: 'ops', password: 'Correct-Horse-1', isAdmin: true } },
    expect: done,
  },
  {
    op: 'node user add',
    args: { pool: 'q', node: '$only', body: { name: 'ops', password: 'Correct-Horse-1' } },
    expect: '409 NodeUserExists',
  },
  {
    op: 'node user update',
    args: { pool: 'q', node: '$only', user: 'ops', body: { password: 'Battery-2' } },
    expect: done,
  },
  { op: 'node user delete', args: { pool: 'q', node: '$only', user: 'ops' }, expect: done },
  { op: 'node user delete', args: { pool: 'q', node: '$only', user: 'ops' }, expect: '404 NodeUserNotFound' },
];

const preparation: readonly Step[] = [
  {
    op: 'job add',
    args: {
      body: {
        id: 'k',
        poolInfo: { poolId: 'q' },
        jobPreparationTask: { id: 'prepare', commandLine: '/bin/true' },
        jobReleaseTask: { id: 'release', commandLine: '/bin/true' },
      },
    },
    expect: done,
  },
  { op: 'task add', args: { job: 'k', body: { id: 't', commandLine: '/bin/true' } }, expect: done },
  {
    op: 'task get',
    args: { job: 'k', task: 't' },
    until: ['state', 'completed'],
    see: ['state'],
    expect: ['completed'],
  },
  {
    op: 'job preparation status',
    args: { job: 'k' },
    see: ['[].jobPreparationTaskExecutionInfo.state', '[].jobPreparationTaskExecutionInfo.exitCode'],
    expect: [['completed'], [0]],
  },
  { op: 'job terminate', args: { job: 'k', reason: 'enough' }, expect: done },
  { op: 'job get', args: { job: 'k' }, until: ['state', 'completed'], see: ['state'], expect: ['completed'] },
  {
    op: 'job preparation status',
    args: { job: 'k' },
    see: ['[].jobReleaseTaskExecutionInfo.state', '[].jobReleaseTaskExecutionInfo.exitCode'],
    expect: [['completed'], [0]],
  },
  { op: 'job delete', args: { job: 'k' }, expect: done },
  { op: 'job get', args: { job: 'k' }, until: ['', '404 JobNotFound'], expect: '404 JobNotFound' },
];

const schedule = (id: string) => ({
  id,
  schedule: {},
  jobSpecification: { poolInfo: { poolId: 'q' }, priority: 3 },
  metadata: [{ name: 'a', value: '1' }],
});

const schedules: readonly Step[] = [
  { op: 'schedule add', args: { body: schedule('s') }, expect: done },
  { op: 'schedule add', args: { body: schedule('S') }, expect: '409 JobScheduleExists' },
  { op: 'schedule exists', args: { schedule: 's' }, expect: true, not: ['az'] },
  {
    op: 'schedule get',
    args: { schedule: 's' },
    until: ['executionInfo.recentJob.id', 's:job-1'],
    see: ['state', 'jobSpecification.priority', 'executionInfo.recentJob.id', 'metadata[].value'],
    expect: ['active', 3, 's:job-1', ['1']],
  },
  { op: 'schedule get', args: { schedule: 'none' }, expect: '404 JobScheduleNotFound' },
  { op: 'schedule list', args: { filter: `startswith(id,'s')` }, see: ['[].id'], expect: [['s']] },
  { op: 'schedule jobs', args: { schedule: 's' }, see: ['[].id', '[].priority'], expect: [['s:job-1'], [3]] },
  { op: 'schedule patch', args: { schedule: 's', body: { metadata: [{ name: 'a', value: '2' }] } }, expect: done },
  { op: 'schedule get', args: { schedule: 's' }, see: ['metadata[].value'], expect: [['2']] },
  { op: 'schedule disable', args: { schedule: 's' }, expect: done },
  { op: 'schedule get', args: { schedule: 's' }, see: ['state', 'previousState'], expect: ['disabled', 'active'] },
  { op: 'schedule enable', args: { schedule: 's' }, expect: done },
  { op: 'schedule get', args: { schedule: 's' }, see: ['state'], expect: ['active'] },
  { op: 'schedule terminate', args: { schedule: 's' }, expect: done },
  { op: 'schedule get', args: { schedule: 's' }, until: ['state', 'completed'], see: ['state'], expect: ['completed'] },
  { op: 'schedule delete', args: { schedule: 's' }, expect: done },
  {
    op: 'schedule get',
    args: { schedule: 's' },
    until: ['', '404 JobScheduleNotFound'],
    expect: '404 JobScheduleNotFound',
  },
];

const end: readonly Step[] = [{ op: 'pool delete', args: { pool: 'q' }, expect: done }];

export const more: readonly Step[] = [...pool, ...images, ...autoscale, ...users, ...preparation, ...schedules, ...end];
