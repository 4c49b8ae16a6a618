/** Rows as SQLite gives them; see schema.ts for units. */
export interface PoolRow {
  readonly seq: number;
  readonly account: string;
  readonly id: string;
  readonly id_key: string;
  readonly spec: string;
  readonly vm_size: string;
  readonly inter_node: number;
  readonly state: 'active' | 'deleting';
  readonly state_time: number;
  readonly allocation_state: 'steady' | 'resizing' | 'stopping';
  readonly allocation_time: number;
  readonly target_dedicated: number;
  readonly target_low: number;
  readonly deallocation: string;
  readonly created: number;
  readonly modified: number;
  /** Autoscale is on when there is a formula. */
  readonly formula: string | null;
  readonly scale_interval: number | null;
  readonly scale_at: number | null;
  readonly scale_set: number | null;
  readonly scale_run: string | null;
  readonly resize_errors: string | null;
  readonly resize_timeout: number | null;
}

export interface NodeRow {
  readonly seq: number;
  readonly pool: number;
  readonly id: string;
  readonly dedicated: number;
  readonly state: string;
  readonly state_time: number;
  readonly scheduling: 'enabled' | 'disabled';
  readonly leaving: number;
  readonly last_boot: number | null;
  readonly allocated: number;
  readonly total_run: number;
  readonly total_succeeded: number;
  readonly errors: string | null;
}

export type JobState = 'active' | 'disabling' | 'disabled' | 'enabling' | 'terminating' | 'completed' | 'deleting';

export interface JobRow {
  readonly seq: number;
  readonly account: string;
  readonly id: string;
  readonly id_key: string;
  readonly pool_key: string;
  readonly spec: string;
  readonly priority: number;
  readonly max_parallel: number;
  readonly on_all: string;
  readonly on_failure: string;
  readonly state: JobState;
  readonly state_time: number;
  readonly previous_state: string | null;
  readonly previous_time: number | null;
  readonly disable_tasks: string | null;
  readonly created: number;
  readonly modified: number;
  readonly start_time: number;
  readonly end_time: number | null;
  readonly terminate_reason: string | null;
  readonly deadline: number | null;
  readonly n_active: number;
  readonly n_running: number;
  readonly n_completed: number;
  readonly n_succeeded: number;
  readonly n_failed: number;
  readonly s_active: number;
  readonly s_running: number;
  readonly s_completed: number;
  readonly s_succeeded: number;
  readonly s_failed: number;
  readonly schedule: number | null;
  readonly wall_time: number;
  readonly wait_time: number;
  readonly cpu_time: number;
  readonly retries: number;
}

export type ScheduleState = 'active' | 'disabled' | 'terminating' | 'completed' | 'deleting';

export interface ScheduleRow {
  readonly seq: number;
  readonly account: string;
  readonly id: string;
  readonly id_key: string;
  readonly spec: string;
  readonly state: ScheduleState;
  readonly state_time: number;
  readonly previous_state: string | null;
  readonly previous_time: number | null;
  readonly created: number;
  readonly modified: number;
  readonly anchor: number;
  readonly last_slot: number | null;
  readonly jobs: number;
  readonly recent_job: string | null;
  readonly not_until: number | null;
  readonly not_after: number | null;
  readonly end_time: number | null;
  readonly next_run: number | null;
  readonly wake: number | null;
}

export type NodeTaskKind = 'start' | 'preparation' | 'release';

export interface NodeTaskRow {
  readonly seq: number;
  readonly kind: NodeTaskKind;
  readonly job: number;
  readonly pool: number;
  readonly pool_id: string;
  readonly node_id: string;
  readonly state: 'running' | 'completed';
  readonly start_time: number;
  readonly end_time: number | null;
  readonly exit_code: number | null;
  readonly result: 'success' | 'failure' | null;
  readonly failure: string | null;
  readonly retry_count: number;
  readonly last_retry: number | null;
  readonly pgid: number | null;
  readonly pgid_start: string | null;
}

export type TaskState = 'active' | 'preparing' | 'running' | 'completed';

export interface TaskRow {
  readonly seq: number;
  readonly job: number;
  readonly id: string;
  readonly id_key: string;
  readonly spec: string;
  readonly slots: number;
  readonly waiting: number;
  readonly satisfied: number;
  readonly state: TaskState;
  readonly state_time: number;
  readonly previous_state: string | null;
  readonly previous_time: number | null;
  readonly created: number;
  readonly modified: number;
  readonly retry_count: number;
  readonly last_retry: number | null;
  readonly requeue_count: number;
  readonly last_requeue: number | null;
  readonly start_time: number | null;
  readonly end_time: number | null;
  readonly exit_code: number | null;
  readonly result: 'success' | 'failure' | null;
  readonly failure: string | null;
  readonly pool_id: string | null;
  readonly node_id: string | null;
  readonly pgid: number | null;
  readonly pgid_start: string | null;
  readonly files_expire: number | null;
  readonly files_gone: number;
  readonly kind: 'plain' | 'manager' | 'exclusive';
  readonly wall_time: number;
  readonly cpu_time: number;
}

/** Why a task failed; `category` is kept in the older wire casing and lowered for newer api-versions. */
export interface FailureInfo {
  readonly category: 'UserError' | 'ServerError';
  readonly code: string;
  readonly message: string;
  readonly details?: readonly { readonly name: string; readonly value: string }[];
}
