import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BatchServiceClient, BatchServiceModels } from '@azure/batch';
import { seededRandom } from '@xva/emulator-kit';
import { clientFor, ended, startProcess, until } from '../test/helpers.ts';
import { Draw } from './malformed.ts';

export interface KillResult {
  readonly kills: number;
  readonly jobs: number;
  readonly tasks: number;
  /** Kills that met at least one running task, and tasks that were requeued for them. */
  readonly requeued: number;
  /** Tasks that came to their end more than once: each must be told by its requeue count. */
  readonly ranAgain: number;
  readonly broken: readonly string[];
}

type Task = BatchServiceModels.CloudTask;

/** What a client knows for certain, since Batch said so. */
interface Known {
  readonly jobs: Set<string>;
  /** `job/task` → seen to have completed: when. */
  readonly tasks: Map<string, string | undefined>;
}

const select = 'id,state,executionInfo';

async function listTasks(client: BatchServiceClient, job: string): Promise<Task[]> {
  const found: Task[] = [];
  let page = await client.task.list(job, { taskListOptions: { select } });
  for (;;) {
    found.push(...page);
    if (page.odatanextLink === undefined) return found;
    page = await client.task.listNext(page.odatanextLink);
  }
}

interface Load {
  readonly known: Known;
  readonly round: number;
  readonly log: string;
  readonly draw: Draw;
  /** The emulator was killed: a round may end before there was anything to watch. */
  readonly over: AbortSignal;
}

/** Adds jobs and tasks and watches them until the connection breaks. What Batch acknowledged goes into `known`. */
async function load(client: BatchServiceClient, { known, round, log, draw, over }: Load): Promise<void> {
  const command = (name: string): string =>
    `/bin/sh -c "echo begin ${name} >> ${log}; sleep 0.0${draw.below(9)}; echo end ${name} >> ${log}"`;
  const write = async (writer: number): Promise<void> => {
    for (let number = 0; ; number += 1) {
      const job = `r${round}-${writer}-${number}`;
      await client.job.add({ id: job, poolInfo: { poolId: 'pool' }, usesTaskDependencies: true });
      known.jobs.add(job);
      const tasks = Array.from({ length: 1 + draw.below(6) }, (_, index) => ({
        id: `t${index}`,
        commandLine: command(`${job}/t${index}`),
        ...(index > 0 && draw.chance(0.3) ? { dependsOn: { taskIds: ['t0'] } } : {}),
      }));
      if (draw.chance(0.5)) {
        const { value } = await client.task.addCollection(job, tasks);
        for (const { taskId } of value ?? []) known.tasks.set(`${job}/${taskId}`, undefined);
      } else {
        for (const task of tasks) {
          await client.task.add(job, task);
          known.tasks.set(`${job}/${task.id}`, undefined);
        }
      }
    }
  };
  const watch = async (): Promise<void> => {
    while (!over.aborted) {
      for (const job of known.jobs) {
        if (!job.startsWith(`r${round}-`)) continue;
        for (const task of await listTasks(client, job)) note(known, job, task);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  await Promise.allSettled([write(0), write(1), watch()]);
}

function note(known: Known, job: string, task: Task): void {
  const name = `${job}/${task.id ?? ''}`;
  if (task.state === 'completed') known.tasks.set(name, task.executionInfo?.endTime?.toISOString() ?? 'no end');
}

/** After a restart: all that was acknowledged is there, and what was seen to have ended has not moved. */
async function verify(client: BatchServiceClient, known: Known, jobs: Iterable<string>): Promise<string[]> {
  const broken: string[] = [];
  for (const job of jobs) {
    let there: Map<string, Task>;
    try {
      there = new Map((await listTasks(client, job)).map((task) => [`${job}/${task.id ?? ''}`, task]));
    } catch (error) {
      broken.push(`the acknowledged job ${job}: ${String((error as { code?: string }).code)}`);
      continue;
    }
    for (const [name, endTime] of known.tasks) {
      if (!name.startsWith(`${job}/`)) continue;
      const task = there.get(name);
      if (task === undefined) broken.push(`the acknowledged task ${name} is lost`);
      else if (endTime !== undefined && task.state !== 'completed')
        broken.push(`${name} had ended and is ${task.state ?? ''}`);
      else if (endTime !== undefined && task.executionInfo?.endTime?.toISOString() !== endTime)
        broken.push(`${name} ended again`);
    }
  }
  return broken;
}

/**
 * Kills the emulator with -9 at drawn moments while jobs and tasks are added and run, starts it again on the same state and
 * looks at what it promised. In the end everything runs out, and what the tasks wrote themselves is held against what
 * Batch tells of them.
 */
export async function killRounds(options: {
  kills: number;
  seed: number;
  tell?: (line: string) => void;
}): Promise<KillResult> {
  const draw = new Draw(seededRandom(options.seed));
  const folder = mkdtempSync(join(tmpdir(), 'batch-kills-'));
  const log = join(folder, 'log');
  writeFileSync(log, '');
  const config = join(folder, 'config.json');
  const pools = [{ id: 'pool', vmSize: 'lab', targetDedicatedNodes: 2, taskSlotsPerNode: 2 }];
  writeFileSync(config, JSON.stringify({ pools, nodeBootMs: 0, limits: { activeJobsAndSchedules: 1_000_000 } }));
  const args = ['--data', join(folder, 'data'), '--config', config];
  const known: Known = { jobs: new Set(), tasks: new Map() };
  const broken: string[] = [];
  let emulator = await startProcess(...args);
  try {
    for (let round = 0; round < options.kills; round += 1) {
      const client = clientFor(emulator.endpoints.batch);
      const over = new AbortController();
      const loading = load(client, { known, round, log, draw, over: over.signal });
      await new Promise((resolve) => setTimeout(resolve, 20 + draw.below(400)));
      await ended(emulator.child, 'SIGKILL');
      over.abort();
      // node-fetch, under the official client, may wait for ever for the rest of an answer that was cut.
      await Promise.race([loading, new Promise((resolve) => setTimeout(resolve, 500))]);
      emulator = await startProcess(...args);
      const recent = [...known.jobs].filter((job) => job.startsWith(`r${round}-`) || job.startsWith(`r${round - 1}-`));
      const found = await verify(clientFor(emulator.endpoints.batch), known, recent);
      broken.push(...found.map((line) => `kill ${round}: ${line}`));
      options.tell?.(`kill ${round + 1}: ${known.jobs.size} jobs, ${known.tasks.size} tasks, ${broken.length} broken`);
    }
    const client = clientFor(emulator.endpoints.batch);
    const states = await settle(client, known);
    broken.push(...(await verify(client, known, known.jobs)), ...accounts(states, readFileSync(log, 'utf8')));
    const again = runs(readFileSync(log, 'utf8'), 'end');
    return {
      kills: options.kills,
      jobs: known.jobs.size,
      tasks: known.tasks.size,
      requeued: [...states.values()].filter((task) => (task.executionInfo?.requeueCount ?? 0) > 0).length,
      ranAgain: [...again.values()].filter((times) => times > 1).length,
      broken,
    };
  } finally {
    await ended(emulator.child, 'SIGKILL');
    if (broken.length === 0) rmSync(folder, { recursive: true, force: true });
    else if (existsSync(folder)) appendFileSync(log, `\n${broken.join('\n')}\n`);
  }
}

/** Waits until every known task has completed, and returns them all. */
async function settle(client: BatchServiceClient, known: Known): Promise<Map<string, Task>> {
  const states = new Map<string, Task>();
  for (const job of known.jobs) {
    await until(`the tasks of ${job} to complete`, async () => {
      const tasks = await listTasks(client, job);
      for (const task of tasks) states.set(`${job}/${task.id ?? ''}`, task);
      return tasks.every(({ state }) => state === 'completed') ? true : undefined;
    });
  }
  return states;
}

function runs(log: string, word: 'begin' | 'end'): Map<string, number> {
  const times = new Map<string, number>();
  for (const line of log.split('\n')) {
    const [what, name] = line.split(' ');
    if (what === word && name !== undefined) times.set(name, (times.get(name) ?? 0) + 1);
  }
  return times;
}

/** Holds what the tasks wrote against what Batch says: nothing ran unseen, and nothing is a success that did not run. */
function accounts(states: ReadonlyMap<string, Task>, log: string): string[] {
  const begun = runs(log, 'begin');
  const done = runs(log, 'end');
  const broken: string[] = [];
  for (const [name, task] of states) {
    const { result, requeueCount, exitCode } = task.executionInfo ?? { retryCount: 0, requeueCount: 0 };
    if (result !== 'success' || exitCode !== 0) broken.push(`${name} ended as ${result ?? ''} ${exitCode ?? ''}`);
    if ((done.get(name) ?? 0) < 1) broken.push(`${name} is a success and never came to its end`);
    if ((begun.get(name) ?? 0) > 1 + requeueCount) {
      broken.push(`${name} began ${begun.get(name) ?? 0} times with ${requeueCount} requeues`);
    }
  }
  for (const name of begun.keys()) if (!states.has(name)) broken.push(`${name} ran and is not in its job`);
  return broken;
}
