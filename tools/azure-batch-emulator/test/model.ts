import fc from 'fast-check';

/** What the emulator shows of one thing that has states. */
interface Entity {
  readonly id: string;
  readonly state: string;
  readonly stateTransitionTime: string;
  readonly previousState?: string;
  readonly previousStateTransitionTime?: string;
  readonly lastModified: string;
  readonly executionInfo?: Readonly<Record<string, unknown>>;
}

const edges: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  task: {
    active: ['preparing', 'running', 'completed'],
    preparing: ['running', 'active', 'completed'],
    running: ['active', 'completed'],
    completed: ['active'],
  },
  job: {
    active: ['disabling', 'terminating', 'deleting'],
    disabling: ['disabled', 'enabling', 'terminating', 'deleting'],
    disabled: ['enabling', 'terminating', 'deleting'],
    enabling: ['active', 'disabling', 'terminating', 'deleting'],
    terminating: ['completed', 'deleting'],
    completed: ['deleting'],
    deleting: [],
  },
  schedule: {
    active: ['disabled', 'terminating', 'completed', 'deleting'],
    disabled: ['active', 'terminating', 'deleting'],
    terminating: ['completed', 'deleting'],
    completed: ['deleting'],
    deleting: [],
  },
};

export interface Command {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

const jobs = fc.constantFrom('a', 'b');
const tasks = fc.constantFrom('1', '2', '3', '4');
const lines = fc.constantFrom('/bin/true', '/bin/false', '/bin/sh -c "sleep 0.03"', 'sleep 300', 'no-such-program');
const post = (path: string, body: unknown = {}): Command => ({ method: 'POST', path, body });

/** Commands over two jobs, a schedule and a pool; `$` stands for the run's own prefix. */
export const commands: fc.Arbitrary<Command> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ job: jobs, prepared: fc.boolean(), all: fc.boolean() }).map(({ job, prepared, all }) =>
    post('/jobs', {
      id: `$${job}`, poolInfo: { poolId: '$p' }, onTaskFailure: 'performexitoptionsjobaction',
      ...(all ? { onAllTasksComplete: 'terminatejob' } : {}),
      ...(prepared ? { jobPreparationTask: { commandLine: '/bin/true' }, jobReleaseTask: { commandLine: '/bin/true' } } : {}),
    }),
  ) },
  { weight: 8, arbitrary: fc.record({ job: jobs, id: tasks, commandLine: lines, retries: fc.integer({ min: 0, max: 2 }), action: fc.constantFrom('none', 'disable', 'terminate') }).map(({ job, id, commandLine, retries, action }) =>
    post(`/jobs/$${job}/tasks`, { id, commandLine, constraints: { maxTaskRetryCount: retries }, exitConditions: { default: { jobAction: action } } }),
  ) },
  { weight: 4, arbitrary: fc.record({ job: jobs, id: tasks, verb: fc.constantFrom('terminate', 'reactivate') }).map(({ job, id, verb }) => post(`/jobs/$${job}/tasks/${id}/${verb}`)) },
  fc.record({ job: jobs, id: tasks }).map(({ job, id }) => ({ method: 'DELETE', path: `/jobs/$${job}/tasks/${id}` })),
  { weight: 3, arbitrary: fc.record({ job: jobs, disableTasks: fc.constantFrom('requeue', 'terminate', 'wait') }).map(({ job, disableTasks }) => post(`/jobs/$${job}/disable`, { disableTasks })) },
  { weight: 3, arbitrary: jobs.map((job) => post(`/jobs/$${job}/enable`)) },
  jobs.map((job) => post(`/jobs/$${job}/terminate`)),
  jobs.map((job) => ({ method: 'DELETE', path: `/jobs/$${job}` })),
  { weight: 2, arbitrary: fc.record({ targetDedicatedNodes: fc.integer({ min: 0, max: 2 }), nodeDeallocationOption: fc.constantFrom('requeue', 'terminate') }).map((body) => post('/pools/$p/resize', body)) },
  fc.constant(post('/control/preempt-node', { pool: '$p', downMs: 5 })),
  fc.constant(post('/control/lose-node', { pool: '$p', downMs: 5 })),
  fc.constant(post('/jobschedules', { id: '$s', schedule: { recurrenceInterval: 'PT0.05S' }, jobSpecification: { poolInfo: { poolId: '$p' }, onAllTasksComplete: 'terminatejob', jobManagerTask: { id: 'm', commandLine: '/bin/true' } } })),
  fc.constantFrom('disable', 'enable', 'terminate').map((verb) => post(`/jobschedules/$s/${verb}`)),
  fc.constant({ method: 'DELETE', path: '/jobschedules/$s' }),
); // prettier-ignore

const headers = { authorization: 'Bearer x', 'content-type': 'application/json' };

/** A run of commands against an emulator; after each, all that can be seen must be consistent with what was seen before. */
export class Model {
  readonly #endpoints: Readonly<Record<string, string>>;
  readonly #prefix: string;
  readonly #seen = new Map<string, Entity>();
  readonly broken: string[] = [];
  /** Transitions that were seen, `task active running`. */
  readonly transitions = new Set<string>();

  constructor(endpoints: Readonly<Record<string, string>>, prefix: string) {
    this.#endpoints = endpoints;
    this.#prefix = prefix;
  }

  async #send({ method, path, body }: Command): Promise<{ readonly status: number; readonly text: string }> {
    const control = path.startsWith('/control/');
    const own = path.replaceAll('$', this.#prefix);
    const url = control
      ? `${this.#endpoints['control'] ?? ''}${own}`
      : `${this.#endpoints['batch'] ?? ''}${own}${own.includes('?') ? '&' : '?'}api-version=2025-06-01`;
    const text = body === undefined ? undefined : JSON.stringify(body).replaceAll('$', this.#prefix);
    const answer = await fetch(url, { method, headers, ...(text === undefined ? {} : { body: text }) });
    return { status: answer.status, text: await answer.text() };
  }

  async #list(path: string): Promise<readonly Entity[] | undefined> {
    const { status, text } = await this.#send({ method: 'GET', path });
    return status === 200 ? (JSON.parse(text) as { value: Entity[] }).value : undefined;
  }

  #break(what: string): void {
    this.broken.push(what);
  }

  async setUp(): Promise<void> {
    await this.#send(post('/pools', { id: '$p', vmSize: 'a', targetDedicatedNodes: 1, taskSlotsPerNode: 2 }));
  }

  async apply(command: Command): Promise<void> {
    const { status, text } = await this.#send(command);
    if (status >= 500) this.#break(`${command.method} ${command.path} was answered ${status}: ${text}`);
    await this.observe();
  }

  #entity(kind: string, key: string, now: Entity): void {
    const name = `${kind} ${key}`;
    const before = this.#seen.get(name);
    this.#seen.set(name, now);
    const allowed = edges[kind] ?? {};
    const { previousState, previousStateTransitionTime: since, stateTransitionTime: at } = now;
    if (allowed[now.state] === undefined) this.#break(`${name} is ${now.state}`);
    if (previousState !== undefined && allowed[previousState]?.includes(now.state) !== true) {
      this.#break(`${name} went from ${previousState} to ${now.state}`);
    }
    if (previousState !== undefined) this.transitions.add(`${kind} ${previousState} ${now.state}`);
    if (since !== undefined && Date.parse(since) > Date.parse(at)) this.#break(`${name}: ${since} is after ${at}`);
    if (
      before === undefined ||
      (now as { creationTime?: string }).creationTime !== (before as { creationTime?: string }).creationTime
    )
      return;
    if (Date.parse(at) < Date.parse(before.stateTransitionTime)) this.#break(`${name}: its time went back`);
    if (Date.parse(now.lastModified) < Date.parse(before.lastModified)) this.#break(`${name}: lastModified went back`);
    if (now.state !== before.state && at === before.stateTransitionTime) this.#break(`${name} changed without a time`);
    const requeues = (entity: Entity): number => Number(entity.executionInfo?.['requeueCount'] ?? 0);
    if (requeues(now) < requeues(before)) this.#break(`${name}: its requeues became fewer`);
  }

  #task(job: string, task: Entity): void {
    this.#entity('task', `${job}/${task.id}`, task);
    const { result, failureInfo, exitCode, endTime, startTime } = task.executionInfo ?? {};
    const over = task.state === 'completed';
    if ((result !== undefined) !== over) this.#break(`task ${task.id} is ${task.state} with result ${String(result)}`);
    if (over && (result === 'failure') !== (failureInfo !== undefined))
      this.#break(`task ${task.id}: ${String(result)} without its reason`);
    if (over && result === 'success' && exitCode !== 0)
      this.#break(`task ${task.id}: success with ${String(exitCode)}`);
    if (typeof endTime === 'string' && typeof startTime === 'string' && Date.parse(endTime) < Date.parse(startTime)) {
      this.#break(`task ${task.id} ended before it began`);
    }
  }

  async #counts(job: string): Promise<string> {
    return (await this.#send({ method: 'GET', path: `/jobs/${job}/taskcounts` })).text.replace(
      /"odata.metadata":"[^"]*",/,
      '',
    );
  }

  async observe(): Promise<void> {
    for (const job of (await this.#list('/jobs')) ?? []) {
      if (!job.id.startsWith(this.#prefix)) continue;
      this.#entity('job', job.id, job);
      const before = await this.#counts(job.id);
      const tasks = await this.#list(`/jobs/${job.id}/tasks`);
      const after = await this.#counts(job.id);
      for (const task of tasks ?? []) this.#task(job.id, task);
      // Between two equal counts nothing was counted: the list must agree with them.
      if (tasks === undefined || before !== after || !before.startsWith('{"taskCounts"')) continue;
      const { taskCounts } = JSON.parse(after) as { taskCounts: Record<string, number> };
      const of = (...states: string[]): number => tasks.filter(({ state }) => states.includes(state)).length;
      const wanted = {
        active: of('active'), running: of('running', 'preparing'), completed: of('completed'),
        succeeded: tasks.filter(({ executionInfo }) => executionInfo?.['result'] === 'success').length,
        failed: tasks.filter(({ executionInfo }) => executionInfo?.['result'] === 'failure').length,
      }; // prettier-ignore
      // A task may have gone and come between: look at the list twice before telling.
      const again = await this.#list(`/jobs/${job.id}/tasks`);
      if (JSON.stringify(again) === JSON.stringify(tasks) && JSON.stringify(taskCounts) !== JSON.stringify(wanted)) {
        this.#break(`job ${job.id}: counts ${JSON.stringify(taskCounts)}, tasks ${JSON.stringify(wanted)}`);
      }
    }
    await this.#observeSchedule();
  }

  async #observeSchedule(): Promise<void> {
    for (const schedule of (await this.#list('/jobschedules')) ?? []) {
      if (!schedule.id.startsWith(this.#prefix)) continue;
      this.#entity('schedule', schedule.id, schedule);
      const jobs = (await this.#list(`/jobschedules/${schedule.id}/jobs`)) ?? [];
      const live = jobs.filter(({ state }) => state !== 'completed' && state !== 'deleting');
      if (live.length > 1) this.#break(`schedule ${schedule.id} has ${live.length} active jobs`);
      const numbers = jobs.map(({ id }) => Number(id.split(':job-')[1]));
      if (numbers.some((number, index) => index > 0 && number <= (numbers[index - 1] ?? 0)))
        this.#break(`schedule ${schedule.id} numbers ${numbers.join()}`);
    }
  }

  /** Deletes everything and waits until it is gone: no state may be a dead end. */
  async tearDown(): Promise<void> {
    const things = ['/jobschedules/$s', '/jobs/$a', '/jobs/$b', '/pools/$p'];
    for (const path of things) await this.#send({ method: 'DELETE', path });
    const deadline = Date.now() + 10_000;
    for (const path of things) {
      while ((await this.#send({ method: 'GET', path })).status !== 404) {
        if (Date.now() > deadline) return this.#break(`${path} does not go away`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }
}
