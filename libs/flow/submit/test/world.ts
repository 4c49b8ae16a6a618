import { Readable } from 'node:stream';
import type { AcceptedBundle, RunRecord } from '@xva/contracts';
import { mergeBundle, shardBundle, type SamplePackage } from '@xva/testkit';
import type {
  BatchPort,
  Blobs,
  JobSpec,
  Ledger,
  RunStore,
  StoredRun,
  SubmitPolicy,
  TaskFacts,
  TaskSpec,
  WorkStorage,
} from '../src/index.ts';
import { isOpen } from '../src/index.ts';

export const policy: SubmitPolicy = {
  poolId: 'pool',
  image: 'engine:1',
  engineCommand: 'xva-engine',
  identityResourceId: '/identity',
  targetShardSeconds: 1,
  maxShards: 100,
  maxTaskRetries: 3,
  maxAttempts: 4,
  taskRetryDelayMs: 0,
  jobMaxWallClockTime: 'PT1H',
  taskRetentionTime: 'P1D',
  environment: 'uat',
};

export interface FakeTask {
  readonly spec: TaskSpec;
  facts: TaskFacts;
}

export interface FakeJob {
  readonly spec: JobSpec;
  state: 'active' | 'disabled' | 'completed';
  priority: number;
  onAllTasksComplete: 'noaction' | 'terminatejob';
  terminateReason: string | undefined;
  readonly tasks: Map<string, FakeTask>;
}

/** An exit code, or null when nothing ran. */
export type Exit = number | null;

interface StoredBlob {
  readonly bytes: Buffer;
  readonly lastModified: Date;
}

/** Storage, tables and Batch in memory. Every act is one step; time stands still unless it is moved. */
export class World {
  now = Date.parse('2026-09-30T18:00:00Z');
  readonly records = new Map<string, StoredRun>();
  readonly containers = new Map<string, Map<string, StoredBlob>>();
  readonly jobs = new Map<string, FakeJob>();
  /** Exit codes of a task's executions in turn; afterwards it succeeds. */
  readonly exits = new Map<string, Exit[]>();
  /** How often the account refuses a job for its quota. */
  quotaRefusals = 0;
  wrongTotal = false;
  /** How long a task takes. */
  taskMs = 1;
  /** What bundles say that made them. */
  engineVersion = '1';
  readonly #ran = new Map<string, number>();
  reject: readonly string[] = [];
  readonly history: string[] = [];
  #etag = 0;
  /** When a task's facts became what they are, in the order of changes. */
  readonly #changes = new WeakMap<TaskFacts, number>();
  #change = 0;
  #bundles = 0;

  get date(): Date {
    return new Date(this.now);
  }

  upload({ objects }: SamplePackage): void {
    for (const [sha256, bytes] of objects) this.#container('objects').set(sha256, { bytes, lastModified: this.date });
  }

  #container(name: string): Map<string, StoredBlob> {
    const found = this.containers.get(name) ?? new Map<string, StoredBlob>();
    this.containers.set(name, found);
    return found;
  }

  readonly runs: RunStore = {
    insert: async (record) => {
      if (this.records.has(record.runId)) return { outcome: 'exists' };
      const etag = String((this.#etag += 1));
      this.records.set(record.runId, { record, etag });
      return { outcome: 'created', etag };
    },
    get: async (runId) => this.records.get(runId),
    swap: async (record, etag) => {
      const found = this.records.get(record.runId);
      if (found?.etag !== etag) return undefined;
      if (record.version <= found.record.version) throw new Error('a version went back');
      this.history.push(`${found.record.state}>${record.state}`);
      const next = String((this.#etag += 1));
      this.records.set(record.runId, { record, etag: next });
      return next;
    },
    listOpen: () => {
      const open = [...this.records.values()].filter((run) => isOpen(run.record));
      return Readable.from(open) as AsyncIterable<StoredRun>;
    },
  };

  blobs(name: string): Blobs {
    const put = async (blob: string, bytes: Buffer): Promise<{ outcome: 'created' | 'exists' }> => {
      const container = this.#container(name);
      if (container.has(blob)) return { outcome: 'exists' };
      container.set(blob, { bytes, lastModified: this.date });
      return { outcome: 'created' };
    };
    return {
      url: (blob) => `https://storage/${name}${blob === undefined ? '' : `/${blob}`}`,
      putIfAbsent: async (blob, bytes) => put(blob, Buffer.from(bytes)),
      putStreamIfAbsent: async (blob, stream) => {
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array));
        return put(blob, Buffer.concat(chunks));
      },
      get: async (blob) => this.containers.get(name)?.get(blob),
      openRead: async (blob, offset = 0, count) => {
        const found = this.containers.get(name)?.get(blob);
        if (found === undefined) return undefined;
        const bytes = found.bytes.subarray(offset, count === undefined ? undefined : offset + count);
        return { stream: Readable.from([bytes]), size: bytes.length };
      },
      list: (prefix) => {
        const found = [...(this.containers.get(name) ?? [])]
          .filter(([blob]) => blob.startsWith(prefix))
          .map(([blob, { bytes, lastModified }]) => ({ name: blob, size: bytes.length, lastModified }));
        return Readable.from(found) as AsyncIterable<{ name: string; size: number; lastModified: Date }>;
      },
    };
  }

  readonly work: WorkStorage = {
    objects: this.blobs('objects'),
    ensureRunContainer: async (name, labels) => {
      this.#container(name);
      this.containerLabels.set(name, labels);
    },
    runContainer: (name) => this.blobs(name),
  };

  readonly containerLabels = new Map<string, Readonly<Record<string, string>>>();
  readonly ledger: Ledger = { results: this.blobs('results') };

  readonly batch: BatchPort = {
    poolFacts: async (id) => ({
      id,
      slotsPerNode: 4,
      dedicatedNodes: { current: 2, target: 2 },
      spotNodes: { current: 0, target: 0 },
    }),
    addJob: async (spec) => {
      const found = this.jobs.get(spec.id);
      if (found !== undefined) return { outcome: contentOf(found.spec) === contentOf(spec) ? 'exists' : 'conflict' };
      if (this.quotaRefusals > 0) {
        this.quotaRefusals -= 1;
        return { outcome: 'quota' };
      }
      this.jobs.set(spec.id, {
        spec,
        state: 'active',
        priority: spec.priority,
        onAllTasksComplete: 'noaction',
        terminateReason: undefined,
        tasks: new Map(),
      });
      return { outcome: 'created' };
    },
    getJob: async (id) => {
      const job = this.jobs.get(id);
      if (job === undefined) return undefined;
      const { state, terminateReason, onAllTasksComplete } = job;
      return { state, terminateReason, onAllTasksComplete };
    },
    terminateJob: async (id, reason) => {
      const job = this.jobs.get(id);
      if (job === undefined) return 'absent';
      if (job.state === 'completed') return 'ended';
      this.endJob(id, reason);
      return 'asked';
    },
    addTasks: async (id, specs) => {
      const job = this.jobs.get(id);
      if (job === undefined) return { outcome: 'job-absent' };
      if (job.state === 'completed') return { outcome: 'job-closed' };
      const other = specs.filter((spec) => {
        const found = job.tasks.get(spec.id);
        return found !== undefined && JSON.stringify(found.spec) !== JSON.stringify(spec);
      });
      for (const spec of specs) if (!job.tasks.has(spec.id)) job.tasks.set(spec.id, { spec, facts: fresh(spec.id) });
      return other.length > 0 ? { outcome: 'conflict', taskIds: other.map((spec) => spec.id) } : { outcome: 'added' };
    },
    listTasks: async (id) => {
      const job = this.jobs.get(id);
      return job === undefined ? undefined : [...job.tasks.values()].map((task) => task.facts);
    },
    changedTasks: async (id, cursor) => {
      const job = this.jobs.get(id);
      if (job === undefined) return undefined;
      const tasks = [...job.tasks.values()];
      const changed =
        cursor === undefined
          ? tasks.filter((task) => task.facts.state !== 'active')
          : tasks.filter((task) => (this.#changes.get(task.facts) ?? 0) > Number(cursor));
      return { changed: changed.map((task) => task.facts), cursor: String(this.#change) };
    },
    disableJob: async (id) => {
      const job = this.jobs.get(id);
      if (job === undefined) return 'absent';
      if (job.state === 'completed') return 'closed';
      if (job.state === 'disabled') return 'already';
      job.state = 'disabled';
      return 'asked';
    },
    enableJob: async (id) => {
      const job = this.jobs.get(id);
      if (job === undefined) return 'absent';
      if (job.state === 'completed') return 'closed';
      if (job.state === 'active') return 'already';
      job.state = 'active';
      return 'asked';
    },
    patchJob: async (id, change) => {
      const job = this.jobs.get(id);
      if (job === undefined) return 'absent';
      if (job.state === 'completed') return 'closed';
      job.priority = change.priority ?? job.priority;
      job.onAllTasksComplete = change.onAllTasksComplete ?? job.onAllTasksComplete;
      this.#endWhenComplete(job);
      return 'patched';
    },
    terminateTask: async (id, taskId) => {
      const job = this.jobs.get(id);
      const task = job?.tasks.get(taskId);
      if (job === undefined || task === undefined) return 'absent';
      if (job.state === 'completed' || task.facts.state === 'completed') return 'ended';
      this.finish({ job, task }, null);
      return 'terminated';
    },
    reactivateTask: async (id, taskId) => {
      const job = this.jobs.get(id);
      const task = job?.tasks.get(taskId);
      if (job === undefined || task === undefined) return 'absent';
      if (job.state === 'completed') return 'job-closed';
      if (task.facts.state !== 'completed' || task.facts.result === 'success') return 'not-failed';
      this.#become(task, fresh(taskId));
      return 'reactivated';
    },
    readTaskFile: async () => undefined,
  };

  #become(task: FakeTask, facts: TaskFacts): void {
    task.facts = facts;
    this.#changes.set(facts, (this.#change += 1));
  }

  #endWhenComplete(job: FakeJob): void {
    if (
      job.state === 'active' &&
      job.onAllTasksComplete === 'terminatejob' &&
      [...job.tasks.values()].every((one) => one.facts.state === 'completed')
    )
      this.endJob(job.spec.id, 'AllTasksComplete');
  }

  /** Ends a job as Batch does: what runs is killed, what waits stays active for ever. */
  endJob(id: string, reason: string): void {
    const job = this.jobs.get(id);
    if (job === undefined) return;
    job.state = 'completed';
    job.terminateReason = reason;
  }

  /** Tasks that could run now. */
  runnable(): readonly { job: FakeJob; task: FakeTask }[] {
    return [...this.jobs.values()]
      .filter((job) => job.state === 'active')
      .flatMap((job) =>
        [...job.tasks.values()].filter((task) => task.facts.state === 'active').map((task) => ({ job, task })),
      );
  }

  /** Lets one task run to its end, as the node would. `zombie`: its bundle appears, but another execution follows. */
  execute(found: { job: FakeJob; task: FakeTask }, zombie = false): void {
    const { spec } = found.task;
    const next = zombie ? undefined : this.exits.get(spec.id)?.shift();
    const exit = next === undefined ? 0 : next;
    this.#become(found.task, { ...found.task.facts, startTime: this.date });
    this.now += this.taskMs;
    const key = `${found.job.spec.id.replace(/-a[0-9]+$/, '')}/${spec.id}`;
    this.#ran.set(key, (this.#ran.get(key) ?? 0) + 1);
    if (exit === 0) this.#writeBundle(spec);
    if (!zombie) this.finish(found, exit);
  }

  /** A task's end as Batch shows it. */
  finish({ job, task }: { job: FakeJob; task: FakeTask }, exit: Exit): void {
    const failed = exit !== 0;
    this.#become(task, {
      id: task.spec.id,
      state: 'completed',
      exitCode: exit ?? undefined,
      result: failed ? 'failure' : 'success',
      failure: failed ? { category: 'usererror', code: 'FailureExitCode', message: `exit ${String(exit)}` } : undefined,
      startTime: task.facts.startTime,
      endTime: this.date,
      requeueCount: task.facts.requeueCount,
      nodeId: 'node',
    });
    this.#endWhenComplete(job);
  }

  /** Tasks of a run's jobs that are not over. */
  tasksOf(runId: string): readonly FakeTask[] {
    return [...this.jobs.values()]
      .filter((job) => job.spec.id.startsWith(`${runId}-a`) && job.state !== 'completed')
      .flatMap((job) => [...job.tasks.values()]);
  }

  /** How often a task of a run was executed, all attempts together. */
  executions(runId: string, taskId: string): number {
    return this.#ran.get(`${runId}/${taskId}`) ?? 0;
  }

  /** Its node is taken away: Batch puts the task back into the queue. */
  preempt({ task }: { task: FakeTask }): void {
    this.now += this.taskMs;
    this.#become(task, { ...fresh(task.spec.id), requeueCount: (task.facts.requeueCount ?? 0) + 1 });
  }

  #file(url: string): Buffer {
    const [container = '', ...path] = url.replace('https://storage/', '').split('/');
    const blob = this.containers.get(container)?.get(path.join('/'));
    if (blob === undefined) throw new Error(`resource file ${url} is not there`);
    return blob.bytes;
  }

  #writeBundle(spec: TaskSpec): void {
    const files = new Map(spec.resourceFiles.map((file) => [file.filePath, this.#file(file.httpUrl)]));
    const task = JSON.parse((files.get('task.json') ?? '').toString()) as Record<string, unknown>;
    const bundleId = `00000000-0000-4000-8000-${String((this.#bundles += 1)).padStart(12, '0')}`;
    const output = spec.outputFiles[0];
    const container = (output?.containerUrl ?? '').replace('https://storage/', '');
    const archives = new Map(
      [...files]
        .filter(([path]) => path.startsWith('bundles/'))
        .map(([path, bytes]) => [path.split('/')[1] ?? '', bytes]),
    );
    const bundle =
      task['kind'] === 'shard'
        ? shardBundle(task, bundleId, this.reject, this.engineVersion)
        : mergeBundle(
            task,
            JSON.parse((files.get('manifest.json') ?? '').toString()) as Record<string, unknown>,
            archives,
            bundleId,
            this.wrongTotal,
            this.engineVersion,
          );
    this.#container(container).set(`${output?.path ?? ''}/bundle-${bundleId}.tar`, {
      bytes: bundle,
      lastModified: this.date,
    });
  }

  record(runId: string): RunRecord {
    const found = this.records.get(runId);
    if (found === undefined) throw new Error(`no run ${runId}`);
    return found.record;
  }

  activeJobs(): readonly string[] {
    return [...this.jobs.values()].filter((job) => job.state === 'active').map((job) => job.spec.id);
  }

  result(blob: string): unknown {
    const found = this.containers.get('results')?.get(blob);
    return found === undefined ? undefined : JSON.parse(found.bytes.toString());
  }

  bundleBytes(bundle: AcceptedBundle, container: string): Buffer | undefined {
    return this.containers.get(container)?.get(bundle.blob)?.bytes;
  }
}

/** What must be equal for a second add to be the same job: not its priority, which may have been changed since. */
function contentOf(spec: JobSpec): string {
  return JSON.stringify([spec.id, spec.poolId, spec.metadata]);
}

function fresh(id: string): TaskFacts {
  return {
    id,
    state: 'active',
    exitCode: undefined,
    result: undefined,
    failure: undefined,
    startTime: undefined,
    endTime: undefined,
    nodeId: undefined,
  };
}
