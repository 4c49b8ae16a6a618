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
  jobs: {
    id: key('id_key'),
    state: choice('state'),
    stateTransitionTime: time('state_time'),
    creationTime: time('created'),
    lastModified: time('modified'),
    lastModifiedTime: time('modified'),
    'executionInfo/startTime': time('start_time'),
    'executionInfo/endTime': time('end_time'),
    'executionInfo/poolId': key('pool_key'),
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
    enableAutoScale: { column: '0', kind: 'boolean', operators: equality },
    enableInterNodeCommunication: { column: 'inter_node', kind: 'boolean', operators: equality },
  },
  nodes: {
    state: choice('state'),
    stateTransitionTime: time('state_time'),
    lastBootTime: time('last_boot'),
    allocationTime: time('allocated'),
  },
  files: { name: { column: 'name', kind: 'text', operators: [], startswith: true } },
  nodecounts: { poolId: { column: 'id_key', kind: 'key', operators: ['eq'] } },
} as const satisfies Record<string, FilterTable>;
