import { more } from './scenario-more.ts';

/** One call through a client. The drivers (`drive.ts`, `drive14.py`, `drive15.py`, `drive-az.py`) know the operations by name. */
export interface Step {
  /** The operation, as the table names it. */
  readonly op: string;
  /** Named arguments; `$name` stands for what an earlier step saved. */
  readonly args: Readonly<Record<string, unknown>>;
  /** What of the result is compared: paths into the wire's JSON (`executionInfo.exitCode`); `[]` walks a list, `#` counts one. */
  readonly see?: readonly string[];
  /** What must be seen: the values at `see` in order, `done` when nothing is looked at, or `409 JobExists`. */
  readonly expect: unknown;
  /** Repeats the call until the value at this path (or the error) is this. */
  readonly until?: readonly [path: string, value: unknown];
  /** Saves the value at a path under a name. */
  readonly save?: readonly [name: string, path: string];
  /** Clients that do not offer it. */
  readonly not?: readonly Client[];
}

export const clients = ['js', 'python14', 'python15', 'az'] as const;
export type Client = (typeof clients)[number];

const done = 'done';
const sh = (text: string): string => `/bin/sh -c "${text}"`;
const wait = (job: string, task: string, state: string): Step => ({
  op: 'task get',
  args: { job, task },
  until: ['state', state],
  see: ['state'],
  expect: [state],
});

const pools: readonly Step[] = [
  {
    op: 'pool add',
    args: {
      body: {
        id: 'p',
        vmSize: 'standard_d2s_v5',
        targetDedicatedNodes: 1,
        taskSlotsPerNode: 2,
        virtualMachineConfiguration: {
          imageReference: { publisher: 'canonical', offer: 'ubuntu-24_04-lts', sku: 'server' },
          nodeAgentSKUId: 'batch.node.ubuntu 24.04',
        },
        metadata: [{ name: 'a', value: '1' }],
      },
    },
    expect: done,
  },
  {
    op: 'pool add',
    args: {
      body: {
        id: 'P',
        vmSize: 'standard_d2s_v5',
        virtualMachineConfiguration: {
          imageReference: { publisher: 'canonical', offer: 'ubuntu-24_04-lts', sku: 'server' },
          nodeAgentSKUId: 'batch.node.ubuntu 24.04',
        },
      },
    },
    expect: '409 PoolExists',
  },
  { op: 'pool exists', args: { pool: 'p' }, expect: true, not: ['az'] },
  { op: 'pool exists', args: { pool: 'none' }, expect: false, not: ['python15', 'az'] },
  // A policy of azure-batch 15 raises for every error, before its own code takes the 404 for an answer.
  { op: 'pool exists', args: { pool: 'none' }, expect: '404', not: ['js', 'python14', 'az'] },
  {
    op: 'pool get',
    args: { pool: 'p' },
    until: ['allocationState', 'steady'],
    see: [
      'id',
      'state',
      'vmSize',
      'currentDedicatedNodes',
      'targetDedicatedNodes',
      'taskSlotsPerNode',
      'enableAutoScale',
      'metadata[].value',
    ],
    expect: ['p', 'active', 'standard_d2s_v5', 1, 1, 2, false, ['1']],
  },
  { op: 'pool get', args: { pool: 'none' }, expect: '404 PoolNotFound' },
  { op: 'pool list', args: {}, see: ['[].id'], expect: [['p']] },
  { op: 'pool list', args: { filter: `startswith(id,'q')` }, see: ['#'], expect: [0] },
  { op: 'pool patch', args: { pool: 'p', body: { metadata: [{ name: 'a', value: '2' }] } }, expect: done },
  { op: 'pool get', args: { pool: 'p' }, see: ['metadata[].value'], expect: [['2']] },
  { op: 'pool resize', args: { pool: 'p', body: { targetDedicatedNodes: 2 } }, expect: done },
  {
    op: 'pool get',
    args: { pool: 'p' },
    until: ['allocationState', 'steady'],
    see: ['currentDedicatedNodes', 'targetDedicatedNodes'],
    expect: [2, 2],
  },
  { op: 'pool resize', args: { pool: 'p', body: { targetDedicatedNodes: 3 } }, expect: done },
  { op: 'pool stop resize', args: { pool: 'p' }, expect: done },
  {
    op: 'pool get',
    args: { pool: 'p' },
    until: ['allocationState', 'steady'],
    see: ['allocationState'],
    expect: ['steady'],
  },
  { op: 'pool resize', args: { pool: 'p', body: { targetDedicatedNodes: 2 } }, expect: done },
  {
    op: 'pool get',
    args: { pool: 'p' },
    until: ['allocationState', 'steady'],
    see: ['currentDedicatedNodes'],
    expect: [2],
  },
];

const nodes: readonly Step[] = [
  {
    op: 'node list',
    args: { pool: 'p' },
    until: ['[].state', ['idle', 'idle']],
    save: ['node', '0.id'],
    see: ['[].state', '[].schedulingState'],
    expect: [
      ['idle', 'idle'],
      ['enabled', 'enabled'],
    ],
  },
  {
    op: 'node get',
    args: { pool: 'p', node: '$node' },
    see: ['state', 'vmSize', 'isDedicated'],
    expect: ['idle', 'standard_d2s_v5', true],
  },
  { op: 'node get', args: { pool: 'p', node: 'tvm-none' }, expect: '404 NodeNotFound' },
  {
    op: 'node counts',
    args: {},
    see: ['[].poolId', '[].dedicated.idle', '[].dedicated.total'],
    expect: [['p'], [2], [2]],
  },
  { op: 'node disable scheduling', args: { pool: 'p', node: '$node' }, expect: done },
  { op: 'node get', args: { pool: 'p', node: '$node' }, see: ['schedulingState'], expect: ['disabled'] },
  { op: 'node enable scheduling', args: { pool: 'p', node: '$node' }, expect: done },
  { op: 'node reboot', args: { pool: 'p', node: '$node' }, expect: done },
  {
    op: 'node get',
    args: { pool: 'p', node: '$node' },
    until: ['state', 'idle'],
    see: ['state', 'schedulingState'],
    expect: ['idle', 'enabled'],
  },
  { op: 'pool remove nodes', args: { pool: 'p', body: { nodeList: ['$node'] } }, expect: done },
  {
    op: 'pool get',
    args: { pool: 'p' },
    until: ['allocationState', 'steady'],
    see: ['currentDedicatedNodes', 'targetDedicatedNodes'],
    expect: [1, 1],
  },
];

const jobs: readonly Step[] = [
  {
    op: 'job add',
    args: {
      body: {
        id: 'j',
        poolInfo: { poolId: 'p' },
        usesTaskDependencies: true,
        priority: 5,
        metadata: [{ name: 'run', value: 'r1' }],
      },
    },
    expect: done,
  },
  { op: 'job add', args: { body: { id: 'J', poolInfo: { poolId: 'p' } } }, expect: '409 JobExists' },
  { op: 'job add', args: { body: { id: 'not an id', poolInfo: { poolId: 'p' } } }, expect: '400 InvalidPropertyValue' },
  {
    op: 'job get',
    args: { job: 'j' },
    save: ['etag', 'eTag'],
    see: [
      'id',
      'state',
      'priority',
      'poolInfo.poolId',
      'usesTaskDependencies',
      'onAllTasksComplete',
      'onTaskFailure',
      'constraints.maxTaskRetryCount',
      'metadata[].value',
    ],
    expect: ['j', 'active', 5, 'p', true, 'noaction', 'noaction', 0, ['r1']],
  },
  { op: 'job get', args: { job: 'none' }, expect: '404 JobNotFound' },
  { op: 'job list', args: { filter: `id eq 'j' and state eq 'active'` }, see: ['[].id'], expect: [['j']] },
  { op: 'job list', args: { filter: `state eq 'completed'` }, see: ['#'], expect: [0] },
  { op: 'job list', args: { filter: `colour eq 'red'` }, expect: '400 InvalidQueryParameterValue' },
  { op: 'job patch', args: { job: 'j', body: { priority: 7 }, ifMatch: '0x1' }, expect: '412 ConditionNotMet' },
  { op: 'job patch', args: { job: 'j', body: { priority: 7 }, ifMatch: '$etag' }, expect: done },
  { op: 'job get', args: { job: 'j' }, see: ['priority', 'metadata[].value'], expect: [7, ['r1']] },
  { op: 'job update', args: { job: 'j', body: { priority: 1, poolInfo: { poolId: 'p' } } }, expect: done, not: ['az'] },
  { op: 'job get', args: { job: 'j' }, see: ['priority', '#metadata'], expect: [1, 0], not: ['az'] },
  {
    op: 'job task counts',
    args: { job: 'j' },
    see: ['taskCounts.active', 'taskCounts.completed', 'taskSlotCounts.running'],
    expect: [0, 0, 0],
  },
];

const tasks: readonly Step[] = [
  {
    op: 'task add',
    args: {
      job: 'j',
      body: { id: 'first', commandLine: sh('echo one; echo two >&2; mkdir out; printf 0123456789 > out/data.txt') },
    },
    expect: done,
  },
  { op: 'task add', args: { job: 'j', body: { id: 'FIRST', commandLine: '/bin/true' } }, expect: '409 TaskExists' },
  { op: 'task add', args: { job: 'none', body: { id: 't', commandLine: '/bin/true' } }, expect: '404 JobNotFound' },
  wait('j', 'first', 'completed'),
  {
    op: 'task get',
    args: { job: 'j', task: 'first' },
    see: [
      'executionInfo.exitCode',
      'executionInfo.result',
      'executionInfo.retryCount',
      'executionInfo.requeueCount',
      'requiredSlots',
      'userIdentity.autoUser.scope',
    ],
    expect: [0, 'success', 0, 0, 1, 'pool'],
  },
  // az prints durations in words.
  {
    op: 'task get',
    args: { job: 'j', task: 'first' },
    see: ['constraints.retentionTime'],
    expect: ['P7D'],
    not: ['az'],
  },
  { op: 'task get', args: { job: 'j', task: 'none' }, expect: '404 TaskNotFound' },
  {
    op: 'task add collection',
    args: {
      job: 'j',
      body: [
        { id: 'bad', commandLine: sh('exit 3'), constraints: { maxTaskRetryCount: 1 } },
        { id: 'slow', commandLine: sh('sleep 60') },
        { id: 'after', commandLine: '/bin/true', dependsOn: { taskIds: ['slow', 'first'] } },
        { id: 'gone', commandLine: 'no-such-program' },
      ],
    },
    see: ['[].taskId', '[].status'],
    expect: [
      ['after', 'bad', 'gone', 'slow'],
      ['success', 'success', 'success', 'success'],
    ],
  },
  {
    op: 'task add collection',
    args: {
      job: 'j',
      body: [
        { id: 'bad', commandLine: '/bin/true' },
        { id: 'new', commandLine: '/bin/true' },
        { id: 'in valid', commandLine: '/bin/true' },
      ],
    },
    see: ['[].taskId', '[].status', '[].error.code'],
    expect: [
      ['bad', 'in valid', 'new'],
      ['clienterror', 'clienterror', 'success'],
      ['TaskExists', 'InvalidPropertyValue', null],
    ],
    not: ['python14', 'python15', 'az'],
  },
  // The Python clients' own helpers raise for a refused item and count "exists" as added; the rest of the collection is there all the same.
  {
    op: 'task add collection',
    args: {
      job: 'j',
      body: [
        { id: 'bad', commandLine: '/bin/true' },
        { id: 'new', commandLine: '/bin/true' },
        { id: 'in valid', commandLine: '/bin/true' },
      ],
    },
    expect: 'failed: in valid',
    not: ['js', 'az'],
  },
  {
    op: 'task add',
    args: { job: 'j', body: { id: 'new', commandLine: '/bin/true' } },
    expect: done,
    not: ['js', 'python14', 'python15'],
  },
  wait('j', 'bad', 'completed'),
  {
    op: 'task get',
    args: { job: 'j', task: 'bad' },
    see: [
      'executionInfo.exitCode',
      'executionInfo.result',
      'executionInfo.retryCount',
      'executionInfo.failureInfo.category',
      'executionInfo.failureInfo.code',
    ],
    expect: [3, 'failure', 1, 'usererror', 'FailureExitCode'],
  },
  wait('j', 'gone', 'completed'),
  {
    op: 'task get',
    args: { job: 'j', task: 'gone' },
    see: ['executionInfo.exitCode', 'executionInfo.failureInfo.code'],
    expect: [null, 'CommandProgramNotFound'],
  },
  wait('j', 'slow', 'running'),
  wait('j', 'new', 'completed'),
  {
    op: 'task get',
    args: { job: 'j', task: 'after' },
    see: ['state', 'dependsOn.taskIds[]'],
    expect: ['active', ['slow', 'first']],
  },
  {
    op: 'job task counts',
    args: { job: 'j' },
    see: [
      'taskCounts.active',
      'taskCounts.running',
      'taskCounts.completed',
      'taskCounts.succeeded',
      'taskCounts.failed',
    ],
    expect: [1, 1, 4, 2, 2],
  },
  {
    op: 'task list',
    args: { job: 'j', filter: `state eq 'Completed' and executionInfo/result eq 'success'`, select: 'id,state' },
    see: ['[].id', '[].commandLine'],
    expect: [
      ['first', 'new'],
      [null, null],
    ],
  },
  {
    op: 'task list',
    args: { job: 'j', filter: `id ge 'b' and id lt 'h'`, pageSize: 2 },
    see: ['[].id'],
    expect: [['bad', 'first', 'gone']],
  },
  { op: 'task list', args: { job: 'none' }, expect: '404 JobNotFound' },
  {
    op: 'task update',
    args: { job: 'j', task: 'after', body: { constraints: { maxTaskRetryCount: 2 } } },
    expect: done,
  },
  { op: 'task get', args: { job: 'j', task: 'after' }, see: ['constraints.maxTaskRetryCount'], expect: [2] },
  { op: 'task terminate', args: { job: 'j', task: 'slow' }, expect: done },
  wait('j', 'slow', 'completed'),
  {
    op: 'task get',
    args: { job: 'j', task: 'slow' },
    see: ['executionInfo.result', 'executionInfo.failureInfo.code'],
    expect: ['failure', 'TaskEnded'],
  },
  { op: 'task terminate', args: { job: 'j', task: 'slow' }, expect: '409 TaskCompleted' },
  { op: 'task reactivate', args: { job: 'j', task: 'first' }, expect: '409 TaskSucceeded' },
  { op: 'task reactivate', args: { job: 'j', task: 'after' }, expect: '409 TaskNotCompleted' },
  { op: 'task reactivate', args: { job: 'j', task: 'gone' }, expect: done },
  wait('j', 'gone', 'completed'),
  { op: 'task list subtasks', args: { job: 'j', task: 'first' }, see: ['#'], expect: [0] },
];

const files: readonly Step[] = [
  {
    op: 'task file list',
    args: { job: 'j', task: 'first' },
    see: ['[].name'],
    expect: [['stderr.txt', 'stdout.txt', 'wd']],
  },
  {
    op: 'task file list',
    args: { job: 'j', task: 'first', recursive: true, filter: `startswith(name,'wd/out')` },
    see: ['[].name'],
    expect: [['wd/out', 'wd/out/data.txt']],
  },
  { op: 'task file get', args: { job: 'j', task: 'first', file: 'stdout.txt' }, see: [''], expect: ['one\n'] },
  {
    op: 'task file get',
    args: { job: 'j', task: 'first', file: 'wd/out/data.txt', range: 'bytes=2-4' },
    see: [''],
    expect: ['234'],
  },
  { op: 'task file get', args: { job: 'j', task: 'first', file: 'wd/none' }, expect: '404 FileNotFound', not: ['js'] },
  {
    op: 'task file get',
    args: { job: 'j', task: 'first', file: 'wd/none' },
    expect: '404',
    not: ['python14', 'python15', 'az'],
  },
  {
    op: 'task file get',
    args: { job: 'j', task: 'after', file: 'stdout.txt' },
    expect: '409 TaskFilesUnavailable',
    not: ['js'],
  },
  {
    op: 'task file get',
    args: { job: 'j', task: 'after', file: 'stdout.txt' },
    expect: '409',
    not: ['python14', 'python15', 'az'],
  },
  {
    op: 'task file properties',
    args: { job: 'j', task: 'first', file: 'wd/out/data.txt' },
    see: ['contentLength'],
    expect: [10],
    not: ['az'],
  },
  // az asks, and prints nothing of the answer.
  {
    op: 'task file properties',
    args: { job: 'j', task: 'first', file: 'wd/out/data.txt' },

    expect: done,
    not: ['js', 'python14', 'python15'],
  },
  { op: 'task file delete', args: { job: 'j', task: 'first', file: 'wd/out/data.txt' }, expect: done },
  { op: 'task file properties', args: { job: 'j', task: 'first', file: 'wd/out/data.txt' }, expect: '404' },
  {
    op: 'node file list',
    args: { pool: 'p', node: '$last', filter: `startswith(name,'shared')` },
    see: ['[].name'],
    expect: [['shared']],
  },
];

const endings: readonly Step[] = [
  { op: 'task delete', args: { job: 'j', task: 'gone' }, expect: done },
  { op: 'task get', args: { job: 'j', task: 'gone' }, expect: '404 TaskNotFound' },
  { op: 'task add', args: { job: 'j', body: { id: 'long', commandLine: sh('sleep 60') } }, expect: done },
  wait('j', 'long', 'running'),
  { op: 'job disable', args: { job: 'j', disableTasks: 'requeue' }, expect: done, not: ['az'] },
  {
    op: 'job get',
    args: { job: 'j' },
    until: ['state', 'disabled'],
    see: ['state', 'previousState'],
    expect: ['disabled', 'disabling'],
    not: ['az'],
  },
  {
    op: 'task get',
    args: { job: 'j', task: 'long' },
    see: ['state', 'executionInfo.requeueCount'],
    expect: ['active', 1],
    not: ['az'],
  },
  { op: 'job enable', args: { job: 'j' }, expect: done, not: ['az'] },
  { ...wait('j', 'long', 'running'), not: ['az'] },
  { op: 'job terminate', args: { job: 'j', reason: 'enough' }, expect: done },
  {
    op: 'job get',
    args: { job: 'j' },
    until: ['state', 'completed'],
    see: ['state', 'executionInfo.terminateReason'],
    expect: ['completed', 'enough'],
  },
  {
    op: 'task get',
    args: { job: 'j', task: 'long' },
    see: ['state', 'executionInfo.result'],
    expect: ['completed', 'failure'],
  },
  { op: 'task add', args: { job: 'j', body: { id: 'late', commandLine: '/bin/true' } }, expect: '409 JobCompleted' },
  { op: 'job terminate', args: { job: 'j', reason: 'again' }, expect: '409 JobCompleted' },
  { op: 'job delete', args: { job: 'j' }, expect: done },
  { op: 'job get', args: { job: 'j' }, until: ['', '404 JobNotFound'], expect: '404 JobNotFound' },
  { op: 'pool delete', args: { pool: 'p' }, expect: done },
  { op: 'pool get', args: { pool: 'p' }, until: ['', '404 PoolNotFound'], expect: '404 PoolNotFound' },
  { op: 'pool delete', args: { pool: 'p' }, expect: '404 PoolNotFound' },
];

/** The node that is left after one was removed is looked up again for its files. */
const lastNode: Step = { op: 'node list', args: { pool: 'p' }, save: ['last', '0.id'], see: ['#'], expect: [1] };

export const scenario: readonly Step[] = [
  ...pools,
  ...nodes,
  ...jobs,
  ...tasks,
  lastNode,
  ...files,
  ...endings,
  ...more,
];
