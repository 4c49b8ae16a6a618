import { BatchServiceClient, BatchSharedKeyCredentials } from '@azure/batch';
import type { Step } from './scenario.ts';

/** Every argument that a step may have; each operation takes its own. Bodies go through as they are. */
interface Args {
  readonly pool: string;
  readonly node: string;
  readonly job: string;
  readonly task: string;
  readonly file: string;
  readonly reason: string;
  readonly schedule: string;
  readonly user: string;
  readonly formula: string;
  readonly interval: string;
  readonly disableTasks: 'requeue';
  readonly body: never;
  readonly ifMatch?: string;
  readonly range?: string;
  readonly filter?: string;
  readonly select?: string;
  readonly pageSize?: number;
  readonly recursive?: boolean;
}

/** Reads all pages by the links that the client hides on its arrays. */
async function all<T extends unknown[]>(
  first: Promise<T & { odatanextLink?: string }>,
  next: (link: string) => Promise<T & { odatanextLink?: string }>,
): Promise<unknown[]> {
  const found: unknown[] = [];
  for (let page = await first; ; page = await next(page.odatanextLink)) {
    found.push(...page);
    if (page.odatanextLink === undefined) return found;
  }
}

async function textOf(answer: Promise<{ readableStreamBody?: NodeJS.ReadableStream | undefined }>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of (await answer).readableStreamBody ?? []) chunks.push(Buffer.from(chunk as Buffer));
  return Buffer.concat(chunks).toString('utf8');
}

function pageOptions({ filter, select, pageSize }: Pick<Args, 'filter' | 'select' | 'pageSize'>): object {
  return {
    ...(filter === undefined ? {} : { filter }),
    ...(select === undefined ? {} : { select }),
    ...(pageSize === undefined ? {} : { maxResults: pageSize }),
  };
}

/** What each operation of the scenario is with `@azure/batch`. */
function operations(client: BatchServiceClient): Record<string, (args: Args) => Promise<unknown>> {
  const { pool, job, task, file, computeNode: node, account, jobSchedule: schedule } = client;
  return {
    'pool add': (a) => pool.add(a.body),
    'pool exists': async (a) => (await pool.exists(a.pool)).body,
    'pool get': (a) => pool.get(a.pool),
    'pool list': (a) => all(pool.list({ poolListOptions: pageOptions(a) }), (link) => pool.listNext(link)),
    'pool patch': (a) => pool.patch(a.pool, a.body),
    'pool resize': (a) => pool.resize(a.pool, a.body),
    'pool stop resize': (a) => pool.stopResize(a.pool),
    'pool remove nodes': (a) => pool.removeNodes(a.pool, a.body),
    'pool delete': (a) => pool.deleteMethod(a.pool),
    'autoscale enable': (a) =>
      pool.enableAutoScale(a.pool, { autoScaleFormula: a.formula, autoScaleEvaluationInterval: a.interval }),
    'autoscale disable': (a) => pool.disableAutoScale(a.pool),
    'autoscale evaluate': (a) => pool.evaluateAutoScale(a.pool, a.formula),
    'supported images': (a) =>
      all(account.listSupportedImages({ accountListSupportedImagesOptions: pageOptions(a) }), (link) =>
        account.listSupportedImagesNext(link),
      ),
    'node list': (a) => all(node.list(a.pool), (link) => node.listNext(link)),
    'node get': (a) => node.get(a.pool, a.node),
    'node counts': () => all(account.listPoolNodeCounts(), (link) => account.listPoolNodeCountsNext(link)),
    'node disable scheduling': (a) => node.disableScheduling(a.pool, a.node),
    'node enable scheduling': (a) => node.enableScheduling(a.pool, a.node),
    'node reboot': (a) => node.reboot(a.pool, a.node),
    'node user add': (a) => node.addUser(a.pool, a.node, a.body),
    'node user update': (a) => node.updateUser(a.pool, a.node, a.user, a.body),
    'node user delete': (a) => node.deleteUser(a.pool, a.node, a.user),
    'node file list': (a) =>
      all(file.listFromComputeNode(a.pool, a.node, { fileListFromComputeNodeOptions: pageOptions(a) }), (link) =>
        file.listFromComputeNodeNext(link),
      ),
    'job add': (a) => job.add(a.body),
    'job get': (a) => job.get(a.job),
    'job list': (a) => all(job.list({ jobListOptions: pageOptions(a) }), (link) => job.listNext(link)),
    'job patch': (a) =>
      job.patch(a.job, a.body, a.ifMatch === undefined ? {} : { jobPatchOptions: { ifMatch: a.ifMatch } }),
    'job update': (a) => job.update(a.job, a.body),
    'job disable': (a) => job.disable(a.job, a.disableTasks),
    'job enable': (a) => job.enable(a.job),
    'job terminate': (a) => job.terminate(a.job, { terminateReason: a.reason }),
    'job delete': (a) => job.deleteMethod(a.job),
    'job task counts': (a) => job.getTaskCounts(a.job),
    'job preparation status': (a) =>
      all(job.listPreparationAndReleaseTaskStatus(a.job), (link) => job.listPreparationAndReleaseTaskStatusNext(link)),
    'schedule add': (a) => schedule.add(a.body),
    'schedule exists': async (a) => (await schedule.exists(a.schedule)).body,
    'schedule get': (a) => schedule.get(a.schedule),
    'schedule list': (a) =>
      all(schedule.list({ jobScheduleListOptions: pageOptions(a) }), (link) => schedule.listNext(link)),
    'schedule jobs': (a) => all(job.listFromJobSchedule(a.schedule), (link) => job.listFromJobScheduleNext(link)),
    'schedule patch': (a) => schedule.patch(a.schedule, a.body),
    'schedule disable': (a) => schedule.disable(a.schedule),
    'schedule enable': (a) => schedule.enable(a.schedule),
    'schedule terminate': (a) => schedule.terminate(a.schedule),
    'schedule delete': (a) => schedule.deleteMethod(a.schedule),
    'task add': (a) => task.add(a.job, a.body),
    'task add collection': async (a) => (await task.addCollection(a.job, a.body)).value,
    'task get': (a) => task.get(a.job, a.task),
    'task list': (a) => all(task.list(a.job, { taskListOptions: pageOptions(a) }), (link) => task.listNext(link)),
    'task update': (a) => task.update(a.job, a.task, a.body),
    'task terminate': (a) => task.terminate(a.job, a.task),
    'task reactivate': (a) => task.reactivate(a.job, a.task),
    'task delete': (a) => task.deleteMethod(a.job, a.task),
    'task list subtasks': async (a) => (await task.listSubtasks(a.job, a.task)).value,
    'task file list': (a) =>
      all(
        file.listFromTask(a.job, a.task, {
          ...(a.recursive === undefined ? {} : { recursive: a.recursive }),
          fileListFromTaskOptions: pageOptions(a),
        }),
        (link) => file.listFromTaskNext(link),
      ),
    'task file get': (a) =>
      textOf(
        file.getFromTask(
          a.job,
          a.task,
          a.file,
          a.range === undefined ? {} : { fileGetFromTaskOptions: { ocpRange: a.range } },
        ),
      ),
    'task file properties': async (a) =>
      (await file.getPropertiesFromTask(a.job, a.task, a.file))._response.parsedHeaders,
    'task file delete': (a) => file.deleteFromTask(a.job, a.task, a.file),
  };
}

/** Runs one call: its JSON, or `{error: '409 JobExists'}`. */
export type Driver = (step: Step, args: Record<string, unknown>) => Promise<unknown>;

export function jsDriver(url: string, name: string, key: string): Driver {
  // Its own retries off: one request is one request.
  const client = new BatchServiceClient(new BatchSharedKeyCredentials(name, key), url, { noRetryPolicy: true });
  const known = operations(client);
  return async (step, args) => {
    const operation = known[step.op];
    if (operation === undefined) throw new Error(`the JavaScript driver does not know ${step.op}`);
    try {
      return JSON.parse(JSON.stringify((await operation(args as unknown as Args)) ?? null)) as unknown;
    } catch (error) {
      const { statusCode, body } = error as { statusCode?: number; body?: { code?: string } };
      if (statusCode === undefined) throw error;
      return { error: `${statusCode} ${body?.code ?? ''}`.trim() };
    }
  };
}
