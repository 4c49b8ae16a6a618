import { z } from 'zod';
import { roles } from './http/auth.ts';

const duration = z
  .string()
  .regex(/^P(?!$)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$/, 'must be an ISO 8601 duration such as PT24H');

/** One key of an API user: only its SHA-256 is configured. */
export const apiKeySchema = z.strictObject({
  name: z.string().min(1).max(64),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be the SHA-256 of the key in lower-case hex'),
  role: z.enum(roles),
});

export const configSchema = z
  .object({
    workConnectionString: z
      .string()
      .optional()
      .meta({ secret: true, description: 'work account by connection string' }),
    workAccountUrl: z
      .url()
      .optional()
      .describe('work account by Entra identity: `https://<account>.blob.core.windows.net`'),
    ledgerConnectionString: z
      .string()
      .optional()
      .meta({ secret: true, description: 'ledger account by connection string' }),
    ledgerAccountUrl: z.url().optional().describe('ledger account (blobs) by Entra identity'),
    ledgerTableUrl: z.url().optional().describe('ledger account (tables) by Entra identity'),
    batchUrl: z.url().describe('`https://<account>.<region>.batch.azure.com`'),
    batchAccount: z.string().min(1).describe('Batch account name'),
    batchKey: z.string().optional().meta({ secret: true, description: 'Batch account key; absent = Entra identity' }),
    poolId: z.string().min(1).max(64).describe('pool that runs the tasks'),
    engineImage: z
      .string()
      .optional()
      .describe('container image of the engine; absent = the command runs as a process on the node'),
    engineCommand: z.string().min(1).default('xva-engine').describe('what comes before `run` and `merge`'),
    taskIdentityResourceId: z
      .string()
      .optional()
      .describe('resource id of the user-assigned identity by which nodes reach the work account'),
    targetShardSeconds: z
      .number()
      .positive()
      .default(300)
      .describe('how long a shard is meant to take, in s of one core'),
    maxShards: z.int().min(1).max(9999).default(1000).describe('most shards of one run'),
    maxTaskRetries: z.int().min(0).default(3).describe('reactivations per task before its failure is final'),
    maxAttempts: z.int().min(1).default(3).describe('jobs that are opened for a run without being asked'),
    taskRetryDelayMs: z.int().min(0).default(1_000).describe('wait before the first reactivation, doubling, in ms'),
    jobMaxWallClockTime: duration.default('PT24H').describe('after which Batch ends a job, ISO 8601'),
    taskRetentionTime: duration.default('P7D').describe('how long nodes keep the files of a task, ISO 8601'),
    pollMs: z.int().min(10).default(1_000).describe('shortest wait between two looks at a run under way, in ms'),
    pollMaxMs: z.int().min(10).default(10_000).describe('longest one, in ms; it grows while nothing moves'),
    discoverMs: z.int().min(10).default(10_000).describe('how often all open runs are listed, in ms'),
    deepMs: z.int().min(10).default(15_000).describe('how often the job itself is looked at, beside its tasks, in ms'),
    quotaRetryMs: z.int().min(10).default(30_000).describe('wait after the account refused a job for its quota, in ms'),
    concurrency: z.int().min(1).max(1000).default(16).describe('runs worked on at a time'),
    maxOutstandingTasks: z
      .int()
      .min(1)
      .optional()
      .describe('tasks that may be in Batch over all runs; absent = twice the slots of the pool'),
    maxQueuedRuns: z.int().min(1).default(1_000).describe('queued runs above which a new one is answered with 429'),
    apiKeys: z.array(apiKeySchema).default([]).describe('keys beside those in table `apikeys`, as SHA-256'),
    httpHost: z.string().default('127.0.0.1').describe('address of the API'),
    httpPort: z.int().min(0).max(65_535).default(8080).describe('port of the API; 0 = any free one'),
    bodyLimitBytes: z.int().min(1024).default(1_048_576).describe('largest request body'),
    rateLimitPerMinute: z.int().min(1).default(6_000).describe('requests per key and minute'),
    controllerUrl: z.url().optional().describe('for the `runs` verbs: address of a running controller'),
    controllerApiKey: z.string().optional().meta({ secret: true, description: 'for the `runs` verbs: its API key' }),
    crashAt: z
      .string()
      .optional()
      .describe('test switch: the process kills itself at this point, such as `batch.addJob:after`'),
    shutdownGraceTimeMs: z.int().min(0).default(10_000).describe('time between the two breaths of a stop, in ms'),
  })
  .superRefine((config, context) => {
    const either = (
      a: 'workConnectionString' | 'ledgerConnectionString',
      b: 'workAccountUrl' | 'ledgerAccountUrl',
    ): void => {
      if ((config[a] === undefined) === (config[b] === undefined)) {
        context.addIssue({ code: 'custom', path: [a], message: `give exactly one of ${a} and ${b}` });
      }
    };
    either('workConnectionString', 'workAccountUrl');
    either('ledgerConnectionString', 'ledgerAccountUrl');
    if ((config.ledgerAccountUrl === undefined) !== (config.ledgerTableUrl === undefined)) {
      const message = 'give ledgerAccountUrl and ledgerTableUrl together';
      context.addIssue({ code: 'custom', path: ['ledgerTableUrl'], message });
    }
  });

export type ControllerConfig = z.output<typeof configSchema>;
