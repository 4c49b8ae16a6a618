/**
 * Times are microseconds since the epoch. `id_key` and `pool_key` are lower case: ids are unique without regard to case.
 *
 * A task may be dispatched when `state = 'active' AND waiting = 0`; `waiting` counts unsatisfied dependencies and only
 * falls. The `n_*` and `s_*` columns of a job are the counts (tasks, slots) that task counts answer, kept in step with
 * every transition in the same transaction, so that neither they nor "are all tasks complete?" ever scan tasks; a task that
 * is `preparing` counts as running.
 *
 * `node_tasks` holds what runs on a node without being a task of a job: its start task (`job` 0), and a job's preparation
 * and release tasks. `kind` of a task is `plain`, `manager` or `exclusive` (a manager that wants its node for itself).
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

  CREATE TABLE pools (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, id TEXT NOT NULL, id_key TEXT NOT NULL,
    spec TEXT NOT NULL, vm_size TEXT NOT NULL, inter_node INTEGER NOT NULL,
    state TEXT NOT NULL, state_time INTEGER NOT NULL,
    allocation_state TEXT NOT NULL, allocation_time INTEGER NOT NULL,
    target_dedicated INTEGER NOT NULL, target_low INTEGER NOT NULL, deallocation TEXT NOT NULL,
    created INTEGER NOT NULL, modified INTEGER NOT NULL,
    UNIQUE (account, id_key)
  ) STRICT;

  CREATE TABLE nodes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, pool INTEGER NOT NULL, id TEXT NOT NULL,
    dedicated INTEGER NOT NULL, state TEXT NOT NULL, state_time INTEGER NOT NULL, scheduling TEXT NOT NULL,
    leaving INTEGER NOT NULL DEFAULT 0, last_boot INTEGER, allocated INTEGER NOT NULL,
    total_run INTEGER NOT NULL DEFAULT 0, total_succeeded INTEGER NOT NULL DEFAULT 0,
    UNIQUE (pool, id)
  ) STRICT;

  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, id TEXT NOT NULL, id_key TEXT NOT NULL,
    pool_key TEXT NOT NULL, spec TEXT NOT NULL, priority INTEGER NOT NULL, max_parallel INTEGER NOT NULL,
    on_all TEXT NOT NULL, on_failure TEXT NOT NULL,
    state TEXT NOT NULL, state_time INTEGER NOT NULL, previous_state TEXT, previous_time INTEGER,
    disable_tasks TEXT, created INTEGER NOT NULL, modified INTEGER NOT NULL,
    start_time INTEGER NOT NULL, end_time INTEGER, terminate_reason TEXT, deadline INTEGER,
    n_active INTEGER NOT NULL DEFAULT 0, n_running INTEGER NOT NULL DEFAULT 0, n_completed INTEGER NOT NULL DEFAULT 0,
    n_succeeded INTEGER NOT NULL DEFAULT 0, n_failed INTEGER NOT NULL DEFAULT 0,
    s_active INTEGER NOT NULL DEFAULT 0, s_running INTEGER NOT NULL DEFAULT 0, s_completed INTEGER NOT NULL DEFAULT 0,
    s_succeeded INTEGER NOT NULL DEFAULT 0, s_failed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, id_key)
  ) STRICT;
  CREATE INDEX jobs_by_pool ON jobs (account, pool_key, state);
  CREATE INDEX jobs_by_deadline ON jobs (deadline) WHERE deadline IS NOT NULL;

  CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, id TEXT NOT NULL, id_key TEXT NOT NULL,
    spec TEXT NOT NULL, slots INTEGER NOT NULL, waiting INTEGER NOT NULL, satisfied INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL, state_time INTEGER NOT NULL, previous_state TEXT, previous_time INTEGER,
    created INTEGER NOT NULL, modified INTEGER NOT NULL,
    retry_count INTEGER NOT NULL DEFAULT 0, last_retry INTEGER,
    requeue_count INTEGER NOT NULL DEFAULT 0, last_requeue INTEGER,
    start_time INTEGER, end_time INTEGER, exit_code INTEGER, result TEXT, failure TEXT,
    pool_id TEXT, node_id TEXT, pgid INTEGER, pgid_start TEXT, files_expire INTEGER, files_gone INTEGER NOT NULL DEFAULT 0,
    UNIQUE (job, id_key)
  ) STRICT;
  CREATE INDEX tasks_by_state ON tasks (job, state);
  CREATE INDEX tasks_ready ON tasks (job) WHERE state = 'active' AND waiting = 0;
  CREATE INDEX tasks_running ON tasks (seq) WHERE state = 'running';
  CREATE INDEX tasks_expiring ON tasks (files_expire) WHERE files_expire IS NOT NULL;

  CREATE TABLE dependencies (
    job INTEGER NOT NULL, needs TEXT NOT NULL, task INTEGER NOT NULL, PRIMARY KEY (job, needs, task)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX dependencies_by_task ON dependencies (task);
  CREATE TABLE dependency_ranges (
    job INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, task INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX dependency_ranges_by_job ON dependency_ranges (job, first, last);
  CREATE INDEX dependency_ranges_by_task ON dependency_ranges (task);
  CREATE TABLE satisfied_numbers (
    job INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (job, number)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE pools ADD COLUMN formula TEXT;
  ALTER TABLE pools ADD COLUMN scale_interval INTEGER;
  ALTER TABLE pools ADD COLUMN scale_at INTEGER;
  ALTER TABLE pools ADD COLUMN scale_set INTEGER;
  ALTER TABLE pools ADD COLUMN scale_run TEXT;
  ALTER TABLE pools ADD COLUMN resize_errors TEXT;
  ALTER TABLE pools ADD COLUMN resize_timeout INTEGER;
  CREATE INDEX pools_by_scaling ON pools (scale_at) WHERE scale_at IS NOT NULL;

  ALTER TABLE nodes ADD COLUMN errors TEXT;

  ALTER TABLE jobs ADD COLUMN schedule INTEGER;
  ALTER TABLE jobs ADD COLUMN wall_time INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE jobs ADD COLUMN wait_time INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE jobs ADD COLUMN cpu_time INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE jobs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX jobs_by_schedule ON jobs (schedule) WHERE schedule IS NOT NULL;

  ALTER TABLE tasks ADD COLUMN kind TEXT NOT NULL DEFAULT 'plain';
  ALTER TABLE tasks ADD COLUMN wall_time INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE tasks ADD COLUMN cpu_time INTEGER NOT NULL DEFAULT 0;
  DROP INDEX tasks_running;
  CREATE INDEX tasks_running ON tasks (seq) WHERE state IN ('preparing', 'running');

  CREATE TABLE schedules (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, id TEXT NOT NULL, id_key TEXT NOT NULL,
    spec TEXT NOT NULL, state TEXT NOT NULL, state_time INTEGER NOT NULL, previous_state TEXT, previous_time INTEGER,
    created INTEGER NOT NULL, modified INTEGER NOT NULL,
    anchor INTEGER NOT NULL, last_slot INTEGER, jobs INTEGER NOT NULL DEFAULT 0, recent_job TEXT,
    not_until INTEGER, not_after INTEGER, end_time INTEGER, next_run INTEGER, wake INTEGER,
    UNIQUE (account, id_key)
  ) STRICT;
  CREATE INDEX schedules_by_wake ON schedules (wake) WHERE wake IS NOT NULL;

  CREATE TABLE node_tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, job INTEGER NOT NULL,
    pool INTEGER NOT NULL, pool_id TEXT NOT NULL, node_id TEXT NOT NULL,
    state TEXT NOT NULL, start_time INTEGER NOT NULL, end_time INTEGER, exit_code INTEGER, result TEXT, failure TEXT,
    retry_count INTEGER NOT NULL DEFAULT 0, last_retry INTEGER, pgid INTEGER, pgid_start TEXT,
    UNIQUE (job, kind, node_id)
  ) STRICT;
  CREATE INDEX node_tasks_by_node ON node_tasks (node_id);

  CREATE TABLE node_users (
    node INTEGER NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL, PRIMARY KEY (node, name)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE samples (
    pool INTEGER NOT NULL, at INTEGER NOT NULL, metrics TEXT NOT NULL, PRIMARY KEY (pool, at)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE node_usage (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, pool_id TEXT NOT NULL, vm_size TEXT NOT NULL,
    cores INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX node_usage_by_time ON node_usage (account, last);

  CREATE TABLE lifetime (
    account TEXT PRIMARY KEY, since INTEGER NOT NULL, wall_time INTEGER NOT NULL, wait_time INTEGER NOT NULL,
    cpu_time INTEGER NOT NULL, succeeded INTEGER NOT NULL, failed INTEGER NOT NULL, retries INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // Lists go by number within a job or an account: without these the planner sorts all of it for every page.
  `
  CREATE INDEX tasks_by_job ON tasks (job);
  CREATE INDEX jobs_by_account ON jobs (account);
  `,
];
