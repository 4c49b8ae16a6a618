import type { BatchServiceClient } from '@azure/batch';
import fc from 'fast-check';
import { startBatchEmulator, type BatchEmulator } from '../src/index.ts';
import { decideSchedule, type Recurrence } from '../src/schedule/recurrence.ts';
import { clientFor, completed, inState, jobInState, refused, until } from './helpers.ts';

let emulator: BatchEmulator;
let client: BatchServiceClient;
const reports: unknown[] = [];

beforeAll(async () => {
  emulator = await startBatchEmulator({
    config: {
      pools: [{ id: 'pool', vmSize: 'lab', taskSlotsPerNode: 4 }],
      limits: { shortestScheduleSeconds: 0.05, activeJobsAndSchedules: 40 },
      nodeBootMs: 0,
    },
    report: (message, error) => reports.push([message, error]),
  });
  client = clientFor(emulator.endpoints['batch'] ?? '');
});
afterAll(async () => {
  await emulator.stop();
  expect(reports).toEqual([]);
});

const jobSpecification = {
  poolInfo: { poolId: 'pool' },
  onAllTasksComplete: 'terminatejob' as const,
  jobManagerTask: { id: 'work', commandLine: '/bin/true' },
};

function scheduleInState(id: string, state: string) {
  return until(`schedule ${id} to be ${state}`, async () => {
    const found = await client.jobSchedule.get(id);
    return found.state === state ? found : undefined;
  });
}

describe('a job schedule', () => {
  it('without a recurrence makes one job and is complete with it', async () => {
    await client.jobSchedule.add({ id: 'once', schedule: {}, jobSpecification });
    const over = await scheduleInState('once', 'completed');
    expect(over).toMatchObject({ previousState: 'active', executionInfo: { recentJob: { id: 'once:job-1' } } });
    expect(over.executionInfo?.endTime).toBeInstanceOf(Date);
    const jobs = await client.job.listFromJobSchedule('once');
    expect(jobs.map(({ id, state }) => [id, state])).toEqual([['once:job-1', 'completed']]);
    const task = await completed(client, 'once:job-1', 'work');
    expect(task.nodeInfo?.taskRootDirectory).toBe('workitems/once/job-1/work');
    expect((await client.file.listFromTask('once:job-1', 'work')).map(({ name }) => name)).toContain('stdout.txt');
    expect(await refused(client.jobSchedule.terminate('once'))).toBe('409 JobScheduleCompleted');
  });

  it('with a recurrence makes the next job when it is due and the last is over', async () => {
    await client.jobSchedule.add({
      id: 'often',
      schedule: { recurrenceInterval: 'PT0.1S' },
      jobSpecification: { ...jobSpecification, displayName: 'x' },
    });
    const jobs = await until('three jobs', async () => {
      const found = await client.job.listFromJobSchedule('often', {
        jobListFromJobScheduleOptions: { filter: "state eq 'completed'" },
      });
      return found.length >= 3 ? found : undefined;
    });
    expect(jobs.map(({ id }) => id).slice(0, 3)).toEqual(['often:job-1', 'often:job-2', 'often:job-3']);
    await client.jobSchedule.disable('often');
    await until('the last job to end', async () => {
      const all = await client.job.listFromJobSchedule('often');
      return all.every(({ state }) => state === 'completed') ? true : undefined;
    });
    const count = (await client.job.listFromJobSchedule('often')).length;
    await client.jobSchedule.patch('often', { jobSpecification: { ...jobSpecification, priority: 7 } });
    expect((await client.job.listFromJobSchedule('often')).length).toBe(count);
    await client.jobSchedule.enable('often');
    const next = await until('the next job', async () => (await client.job.listFromJobSchedule('often'))[count]);
    expect(next.priority).toBe(7);
    const stats = (await client.jobSchedule.get('often', { jobScheduleGetOptions: { expand: 'stats' } })).stats;
    expect(Number(stats?.numSucceededTasks)).toBeGreaterThanOrEqual(3);
    await client.jobSchedule.deleteMethod('often');
    await until('it to be gone', async () =>
      (await refused(client.jobSchedule.get('often'))) === '404 JobScheduleNotFound' ? true : undefined,
    );
    expect(await refused(client.job.get('often:job-1'))).toBe('404 JobNotFound');
    expect((await client.jobSchedule.exists('often')).body).toBe(false);
  });

  it('has one active job at a time, and ends it when it is terminated', async () => {
    const slow = { ...jobSpecification, jobManagerTask: { id: 'work', commandLine: 'sleep 300' } };
    await client.jobSchedule.add({ id: 'slow', schedule: { recurrenceInterval: 'PT0.1S' }, jobSpecification: slow });
    await until('its job', async () =>
      (await client.job.listFromJobSchedule('slow')).length === 1 ? true : undefined,
    );
    await inState(client, 'slow:job-1', 'work', 'running');
    const seen = (await client.jobSchedule.get('slow')).executionInfo?.nextRunTime?.getTime() ?? 0;
    await until('three recurrences to pass', async () =>
      ((await client.jobSchedule.get('slow')).executionInfo?.nextRunTime?.getTime() ?? 0) >= seen + 300
        ? true
        : undefined,
    );
    expect(await client.job.listFromJobSchedule('slow')).toHaveLength(1);
    await client.jobSchedule.terminate('slow');
    await scheduleInState('slow', 'completed');
    const job = await jobInState(client, 'slow:job-1', 'completed');
    expect(job.executionInfo?.terminateReason).toBe('TerminateJobSchedule');
  });

  it('waits for its time, and ends at its end', async () => {
    const later = new Date(Date.now() + 3_600_000);
    await client.jobSchedule.add({ id: 'later', schedule: { doNotRunUntil: later }, jobSpecification });
    const waiting = await until('it to be planned', async () => {
      const found = await client.jobSchedule.get('later');
      return found.executionInfo?.nextRunTime === undefined ? undefined : found;
    });
    expect(waiting.executionInfo?.nextRunTime).toEqual(later);
    expect(await client.job.listFromJobSchedule('later')).toHaveLength(0);
    const listed = await client.jobSchedule.list({
      jobScheduleListOptions: {
        filter: `schedule/doNotRunUntil gt DateTime'${new Date().toISOString()}'`,
        select: 'id',
      },
    });
    expect(listed.map(({ id }) => id)).toEqual(['later']);
    const past = new Date(Date.now() - 2000);
    await client.jobSchedule.update('later', { schedule: { doNotRunAfter: past }, jobSpecification });
    await scheduleInState('later', 'completed');
  });

  it('shares ids with jobs, and is refused by name when it is wrong', async () => {
    await client.job.add({ id: 'taken', poolInfo: { poolId: 'pool' } });
    expect(await refused(client.jobSchedule.add({ id: 'TAKEN', schedule: {}, jobSpecification }))).toBe(
      '409 JobWithSameIdExists',
    );
    await client.jobSchedule.add({
      id: 'held',
      schedule: { doNotRunUntil: new Date(Date.now() + 1e7) },
      jobSpecification,
    });
    expect(await refused(client.job.add({ id: 'Held', poolInfo: { poolId: 'pool' } }))).toBe(
      '409 JobScheduleWithSameIdExists',
    );
    expect(await refused(client.jobSchedule.add({ id: 'held', schedule: {}, jobSpecification }))).toBe(
      '409 JobScheduleExists',
    );
    expect(
      await refused(client.jobSchedule.add({ id: 'x', schedule: { recurrenceInterval: 'PT0.01S' }, jobSpecification })),
    ).toBe('400 InvalidPropertyValue');
    expect(await refused(client.jobSchedule.get('none'))).toBe('404 JobScheduleNotFound');
  });
});

describe('the decision of a schedule', () => {
  const minute = 60_000_000;
  const base: Recurrence = { anchor: 0, interval: 10 * minute, startWindow: undefined, notAfter: undefined, lastSlot: undefined, jobActive: false }; // prettier-ignore

  it.each<[string, Partial<Recurrence>, number, unknown]>([
    ['creates at its slot', {}, 25 * minute, { kind: 'create', slot: 20 * minute }],
    [
      'waits for the next slot',
      { lastSlot: 20 * minute },
      25 * minute,
      { kind: 'wait', until: 30 * minute, nextRun: 30 * minute },
    ],
    [
      'waits while a job is active',
      { jobActive: true },
      25 * minute,
      { kind: 'wait', until: 30 * minute, nextRun: 30 * minute },
    ],
    [
      'loses a slot whose window has passed',
      { startWindow: minute },
      25 * minute,
      { kind: 'wait', until: 30 * minute, nextRun: 30 * minute },
    ],
    ['takes a slot within its window', { startWindow: 6 * minute }, 25 * minute, { kind: 'create', slot: 20 * minute }],
    ['completes at its end', { notAfter: 20 * minute }, 25 * minute, { kind: 'complete' }],
    [
      'ends only after its job',
      { notAfter: 20 * minute, jobActive: true },
      25 * minute,
      { kind: 'wait', until: undefined, nextRun: undefined },
    ],
    ['makes one job without an interval', { interval: undefined, lastSlot: 0 }, minute, { kind: 'complete' }],
    ['waits before its time', { anchor: 5 * minute }, minute, { kind: 'wait', until: 5 * minute, nextRun: 5 * minute }],
  ])('%s', (_name, fields, now, decision) => {
    expect(decideSchedule({ ...base, ...fields }, now)).toEqual(decision);
  });

  it('never makes two jobs for a slot, nor one outside its window, nor two at a time; and always goes on', () => {
    const time = fc.integer({ min: 1, max: 200 });
    const maybe = fc.option(time, { nil: undefined });
    fc.assert(
      fc.property(
        fc.record({ anchor: time, interval: maybe, startWindow: maybe, notAfter: maybe }),
        fc.array(fc.record({ step: time, over: fc.boolean() }), { maxLength: 40 }),
        (plan, steps) => {
          let now = 0;
          let active = false;
          let lastSlot: number | undefined;
          for (const { step, over } of steps) {
            now += step;
            if (over) active = false;
            const decision = decideSchedule({ ...plan, lastSlot, jobActive: active }, now);
            if (decision.kind === 'create') {
              expect(active).toBe(false);
              expect(decision.slot).toBeLessThanOrEqual(now);
              expect(decision.slot).toBeGreaterThanOrEqual(plan.anchor);
              if (lastSlot !== undefined) expect(decision.slot).toBeGreaterThan(lastSlot);
              if (plan.startWindow !== undefined) expect(now - decision.slot).toBeLessThan(plan.startWindow);
              if (plan.notAfter !== undefined) expect(now).toBeLessThan(plan.notAfter);
              lastSlot = decision.slot;
              active = true;
            } else if (decision.kind === 'wait') {
              if (decision.until === undefined) expect(active).toBe(true);
              else expect(decision.until).toBeGreaterThan(now);
            } else {
              expect(active).toBe(false);
              return;
            }
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
