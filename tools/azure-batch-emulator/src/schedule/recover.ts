import { killLeftovers } from '../run/leftovers.ts';
import type { Core } from './core.ts';
import { taskEnded } from './decide.ts';
import type { Fleet } from './fleet.ts';
import type { JobLife } from './job-life.ts';
import type { NodeLife } from './node-life.ts';
import type { ScheduleLife } from './schedule-life.ts';

/**
 * Takes up the state of an earlier life: what it left running is killed, its running tasks are requeued as a lost
 * node's would be (or ended, in jobs that were terminating), nodes are idle again, passing states go on.
 */
export function recover(core: Core, jobs: JobLife, fleet: Fleet, nodes: NodeLife, schedules: ScheduleLife): void {
  const { store, stamps } = core;
  const running = store.tasks.running();
  const onNodes = store.nodeTasks.running();
  killLeftovers(store.instance, [...running, ...onNodes]);
  store.transaction(() => {
    for (const task of onNodes) store.nodeTasks.forget(task.seq);
    for (const task of running) {
      const now = stamps.next();
      const job = store.jobs.get(task.job);
      if (job?.state === 'terminating' || (job?.state === 'disabling' && job.disable_tasks === 'terminate')) {
        const ending = { exitCode: undefined, result: 'failure', failure: taskEnded, satisfied: false } as const;
        store.tasks.complete(task, { ...ending, filesExpire: undefined }, now);
      } else {
        store.tasks.again(task, 'requeue', now);
      }
    }
    for (const pool of store.pools.all()) {
      for (const node of store.pools.nodes(pool.seq)) {
        if (node.state === 'leavingpool') fleet.forget(pool, node);
        else nodes.resume(pool, node);
      }
      if (pool.state === 'deleting') fleet.remove(pool);
      else if (pool.allocation_state !== 'steady') fleet.allocate(pool.seq);
      core.onKick(pool.seq);
    }
  });
  for (const job of store.jobs.inStates('active', 'disabling', 'enabling', 'terminating', 'deleting')) {
    if (job.state !== 'active' || job.on_all === 'terminatejob') jobs.settle(job.seq);
  }
  for (const schedule of store.schedules.all()) schedules.settle(schedule.seq);
}
