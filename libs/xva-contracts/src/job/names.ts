/** Names of what a run leaves in Batch and Storage: all follow from the run id, so that a repeat finds them. */
export function jobIdOf(runId: string, attempt: number): string {
  return `${runId}-a${attempt}`;
}

/** Run id and attempt of a job id that this pipeline made, else undefined. */
export function parseJobId(jobId: string): { runId: string; attempt: number } | undefined {
  const match = /^(xva-[0-9]{8}-[a-z0-9-]{1,27})-a([1-9][0-9]{0,3})$/.exec(jobId.toLowerCase());
  return match?.[1] === undefined ? undefined : { runId: match[1], attempt: Number(match[2]) };
}

/** The run's own container in the work account: the unit of its SAS, and of its clean-up in one request. */
export function runContainerOf(runId: string): string {
  return `run-${runId}`;
}

export function runIdOfContainer(container: string): string | undefined {
  const match = /^run-(xva-[0-9]{8}-[a-z0-9-]{1,27})$/.exec(container);
  return match?.[1];
}

/** Where a task's files lie in the run's container: `a1/shard-0001/…`. */
export const runPaths = {
  taskSpec: (attempt: number, task: string) => `a${attempt}/${task}/task.json`,
  /** outputFiles prefix of the bundle: `a1/shard-0001/out/bundle-<guid>.tar`. */
  taskOut: (attempt: number, task: string) => `a${attempt}/${task}/out`,
  /** outputFiles prefix of stdout, stderr and the engine's logs. */
  taskLogs: (attempt: number, task: string) => `a${attempt}/${task}/logs`,
} as const;

/** Containers and prefixes with a life of their own. */
export const workContainers = { requests: 'requests', objects: 'objects' } as const;
export const ledgerContainers = {
  results: 'results',
  deadLetters: 'deadletters',
  checkpoints: 'checkpoints',
  quarantine: 'quarantine',
  sweeps: 'sweeps',
} as const;
export const ledgerTables = {
  runs: 'runs',
  /** Which runs may be open: an index of `runs`, so that finding them does not read every tombstone. */
  openRuns: 'openruns',
  apiKeys: 'apikeys',
  audit: 'audit',
  pins: 'pins',
  detection: 'detection',
  usage: 'usage',
  webhooks: 'webhooks',
} as const;

export function requestBlobOf(eventId: string): string {
  return `${eventId}.json`;
}

/** Paths in the `results` container. */
export const resultPaths = {
  pointer: (runId: string) => `${runId}/published.json`,
  file: (runId: string, bundleId: string, path: string) => `${runId}/${bundleId}/${path}`,
} as const;

/** Keys of a run's row in table `runs`: partition by as-of date, so that a day's runs list together. */
export function runRowKeys(runId: string): { partitionKey: string; rowKey: string } {
  return { partitionKey: runId.slice(4, 12), rowKey: runId };
}
