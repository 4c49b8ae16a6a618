import { operators, type Operator } from './filter.ts';

export type PropertyKind = 'key' | 'enum' | 'time' | 'number' | 'boolean' | 'text';

/** What may be filtered in a list, and the column that holds it. Keys and enums are stored in lower case. */
export interface FilterProperty {
  readonly column: string;
  readonly kind: PropertyKind;
  readonly operators: readonly Operator[];
  readonly startswith?: boolean;
}
export type FilterTable = Readonly<Record<string, FilterProperty>>;

const equality: readonly Operator[] = ['eq', 'ne'];
const key = (column: string): FilterProperty => ({ column, kind: 'key', operators, startswith: true });
const choice = (column: string): FilterProperty => ({ column, kind: 'enum', operators: equality });
const time = (column: string): FilterProperty => ({ column, kind: 'time', operators });

/** Of a node's start task, as a column of the list of nodes. */
const ofStart = (name: string): string =>
  `(SELECT s.${name} FROM node_tasks s WHERE s.job = 0 AND s.kind = 'start' AND s.node_id = nodes.id)`;

const jobTimes = {
  state: choice('state'),
  stateTransitionTime: time('state_time'),
  creationTime: time('created'),
  lastModified: time('modified'),
  lastModifiedTime: time('modified'),
} as const;

const execution = (info: string, columns: string) => ({
  [`${info}/state`]: choice(`${columns}.state`),
  [`${info}/startTime`]: time(`${columns}.start_time`),
  [`${info}/endTime`]: time(`${columns}.end_time`),
  [`${info}/exitCode`]: { column: `${columns}.exit_code`, kind: 'number', operators } as FilterProperty,
  [`${info}/result`]: choice(`${columns}.result`),
});

const ofJobs = {
  ...jobTimes,
  'executionInfo/startTime': time('start_time'),
  'executionInfo/endTime': time('end_time'),
  'executionInfo/poolId': key('pool_key'),
} as const;

/** Filterable properties per list (Batch REST reference, "Use OData queries"; `ne` on state is in its newer revisions). */
export const filterTables = {
  tasks: {
    id: key('id_key'),
    state: choice('state'),
    stateTransitionTime: time('state_time'),
    creationTime: time('created'),
    lastModified: time('modified'),
    lastModifiedTime: time('modified'),
    'executionInfo/startTime': time('start_time'),
    'executionInfo/endTime': time('end_time'),
    'executionInfo/exitCode': { column: 'exit_code', kind: 'number', operators },
    'executionInfo/result': choice('result'),
  },
  jobs: { id: key('id_key'), ...ofJobs },
  scheduleJobs: ofJobs,
  jobschedules: {
    id: key('id_key'),
    ...jobTimes,
    'executionInfo/endTime': time('end_time'),
    'schedule/doNotRunUntil': time('not_until'),
    'schedule/doNotRunAfter': time('not_after'),
  },
  preparation: {
    poolId: { column: 'lower(p.pool_id)', kind: 'key', operators: equality },
    nodeId: { column: 'lower(p.node_id)', kind: 'key', operators: equality },
    ...execution('jobPreparationTaskExecutionInfo', 'p'),
    ...execution('jobReleaseTaskExecutionInfo', 'r'),
  },
  supportedimages: {
    osType: { column: 'osType', kind: 'enum', operators: equality },
    verificationType: { column: 'verificationType', kind: 'enum', operators: equality },
    nodeAgentSKUId: { column: 'nodeAgentSKUId', kind: 'key', operators: equality },
    'imageReference/publisher': { column: 'publisher', kind: 'key', operators: equality },
    'imageReference/offer': { column: 'offer', kind: 'key', operators: equality },
    'imageReference/sku': { column: 'sku', kind: 'key', operators: equality },
  },
  poolusagemetrics: {
    poolId: { column: 'poolId', kind: 'key', operators: ['eq'] },
    vmSize: { column: 'vmSize', kind: 'key', operators: ['eq'] },
  },
  pools: {
    id: key('id_key'),
    state: choice('state'),
    allocationState: choice('allocation_state'),
    stateTransitionTime: time('state_time'),
    allocationStateTransitionTime: time('allocation_time'),
    creationTime: time('created'),
    lastModified: time('modified'),
    lastModifiedTime: time('modified'),
    vmSize: { column: 'lower(vm_size)', kind: 'key', operators: equality },
    enableAutoScale: { column: '(formula IS NOT NULL)', kind: 'boolean', operators: equality },
    enableInterNodeCommunication: { column: 'inter_node', kind: 'boolean', operators: equality },
  },
  nodes: {
    state: choice('state'),
    stateTransitionTime: time('state_time'),
    lastBootTime: time('last_boot'),
    allocationTime: time('allocated'),
    'startTaskInfo/state': { column: ofStart('state'), kind: 'enum', operators: ['eq'] },
    'startTaskInfo/startTime': time(ofStart('start_time')),
    'startTaskInfo/endTime': time(ofStart('end_time')),
    'startTaskInfo/exitCode': { column: ofStart('exit_code'), kind: 'number', operators },
    'startTaskInfo/result': choice(ofStart('result')),
  },
  files: { name: { column: 'name', kind: 'text', operators: [], startswith: true } },
  nodecounts: { poolId: { column: 'id_key', kind: 'key', operators: ['eq'] } },
} as const satisfies Record<string, FilterTable>;
