import type { JobRequest, PlanView, Problem, RunProgress, RunView } from '@xva/contracts';

const runId = 'xva-20260930-rates-abcdefghijklmn';
const sha256 = 'a'.repeat(64);

export const jobRequestExample: JobRequest = {
  schemaVersion: '1.0',
  eventId: '0123456789abcdef0123456789abcdef',
  requestKey: { book: 'RATES', asOf: '2026-09-30', cut: 'EOD', scenario: 'BASE', revision: 1 },
  packageId: sha256,
  priority: 0,
  deadline: '2026-09-30T21:00:00Z',
};

export const runViewExample: RunView = {
  schemaVersion: '1.0',
  runId,
  eventId: jobRequestExample.eventId,
  requestKey: jobRequestExample.requestKey,
  packageId: sha256,
  state: 'running',
  outcome: null,
  attempt: 1,
  priority: 0,
  deadline: '2026-09-30T21:00:00Z',
  deadlineMissedAt: null,
  desk: 'rates',
  submittedBy: 'key:file-event-controller',
  paused: null,
  waiting: null,
  shards: 6,
  accepted: 2,
  plannedCpuSeconds: 1800,
  cost: null,
  reasons: [],
  jobs: [
    {
      jobId: `${runId}-a1`,
      poolId: 'spot',
      poolClass: 'spot',
      attempt: 1,
      reason: 'first attempt',
      tasks: 6,
      submittedAt: '2026-09-30T18:00:01Z',
      endedAt: null,
    },
  ],
  container: `run-${runId}`,
  createdAt: '2026-09-30T18:00:00Z',
  updatedAt: '2026-09-30T18:02:00Z',
  startedAt: '2026-09-30T18:00:01Z',
  firstTaskAt: '2026-09-30T18:00:03Z',
  finishedAt: null,
  version: 7,
};

export const progressExample: RunProgress = {
  schemaVersion: '1.0',
  runId,
  state: 'running',
  percent: 41.5,
  tasks: [
    {
      taskId: 'shard-0001',
      attempt: 1,
      state: 'running',
      nettingSets: ['NS-001'],
      phase: 'simulation',
      percent: 62.5,
      exitCode: null,
      startTime: '2026-09-30T18:00:03Z',
      endTime: null,
      nodeId: 'tvm-1',
    },
  ],
  eta: '2026-09-30T18:06:00Z',
};

export const planExample: PlanView = {
  schemaVersion: '1.0',
  runId,
  packageId: sha256,
  existing: null,
  shards: [{ taskId: 'shard-0001', nettingSets: ['NS-001', 'NS-002'], cpuSeconds: 300 }],
  predicted: { cpuSeconds: 300, longestShardCpuSeconds: 300, learntFromShards: 128 },
  cost: { nodeHours: 0.085, amount: 0.0161, currency: 'EUR', unit: 'node-hour', pricePerNodeHour: 0.19 },
  pool: { poolId: 'spot', poolClass: 'spot', slots: 32 },
  eta: { startsInSeconds: 0, endsInSeconds: 305, endsAt: '2026-09-30T18:05:05Z', meetsDeadline: true },
  refusals: [],
};

export const problemExample: Problem = {
  type: 'urn:xva-lab:problem:not-found',
  title: 'There is no such thing',
  status: 404,
  detail: `there is no run ${runId}`,
  code: 'not-found',
  requestId: '4b4a0f0e-3f0f-4a52-9d0f-0e7f8d0b6c11',
};
