import { retentionLabelsSchema } from '@xva/contracts';
import { z } from 'zod';
import { roles, sights } from './auth/principal.ts';

const duration = z
  .string()
  .regex(/^P(?!$)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$/, 'must be an ISO 8601 duration such as PT24H');

/** One key of an API user: only its SHA-256 is configured. */
export const apiKeySchema = z.strictObject({
  name: z.string().min(1).max(64),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be the SHA-256 of the key in lower-case hex'),
  role: z.enum(roles),
  desk: z.string().min(1).max(64).optional(),
  sees: z.enum(sights).default('all'),
});

/** ISO 4217 and prices of a node-hour by pool id. */
export const pricesSchema = z.strictObject({
  currency: z.string().regex(/^[A-Z]{3}$/, 'must be a three-letter currency code'),
  perNodeHour: z.record(z.string().min(1).max(64), z.number().nonnegative()),
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
    spotPoolId: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe('pool of spot nodes, where a run starts; it goes on in `poolId`'),
    largePoolId: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe('pool with more memory per slot, for tasks that ran out of it'),
    maxSpotAttempts: z
      .int()
      .min(1)
      .optional()
      .describe('executions of a task on spot nodes before dedicated ones; absent = 2'),
    splitSetSeconds: z
      .number()
      .positive()
      .optional()
      .describe('a netting set that takes longer alone is split by trade, in CPU seconds; absent = never'),
    prices: pricesSchema
      .optional()
      .describe('price of a node-hour by pool, such as `{"currency":"EUR","perNodeHour":{"spot":0.05}}`'),
    usageHalfLifeMs: z
      .int()
      .min(1_000)
      .optional()
      .describe("after so long a slot-second of the past counts half against a desk's share, in ms; absent = 1 h"),
    maxPoolNodes: z.int().min(1).default(500).describe('nodes of either kind that a resize may ask for'),
    environment: retentionLabelsSchema.shape.xva_environment.describe(
      "label `xva_environment` of jobs and containers, where several environments share an account; the collector's policy names the same",
    ),
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
    maxLooksPerSecond: z
      .number()
      .positive()
      .optional()
      .describe('looks at runs under way, all together; with many of them each is looked at more seldom; absent = 100'),
    capacityRefreshMs: z
      .int()
      .min(10)
      .optional()
      .describe('how long what is known of pools and usage is good for, in ms; absent = 10 s'),
    fullListMs: z
      .int()
      .min(10)
      .optional()
      .describe('how often all tasks of a job are listed beside what changed, in ms; absent = 10 min'),
    maxQueuedRuns: z.int().min(1).default(1_000).describe('queued runs above which a new one is answered with 429'),
    apiKeys: z.array(apiKeySchema).default([]).describe('keys beside those in table `apikeys`, as SHA-256'),
    apiKeyCacheMs: z
      .int()
      .min(0)
      .max(300_000)
      .default(10_000)
      .describe('how long what the table says of a key is believed: a revoked key works no longer than this, in ms'),
    entraTenantId: z.uuid().optional().describe('tenant whose access tokens are taken; absent = none are'),
    entraAudiences: z
      .array(z.string().min(1))
      .default([])
      .describe('audiences of those tokens: application id URI, client id'),
    entraIssuer: z.url().optional().describe('absent = the v2.0 issuer of the tenant'),
    entraJwksUrl: z.url().optional().describe('absent = the v2.0 keys of the tenant'),
    entraRequireDesk: z
      .boolean()
      .default(false)
      .describe('refuse tokens without an app role `desk.<name>`; otherwise they see all desks'),
    entraJwksCooldownMs: z
      .int()
      .min(0)
      .default(30_000)
      .describe('shortest time between two reads of the keys for key ids that are not known, in ms'),
    httpHost: z.string().default('127.0.0.1').describe('address of the API'),
    httpPort: z.int().min(0).max(65_535).default(8080).describe('port of the API; 0 = any free one'),
    bodyLimitBytes: z.int().min(1024).default(1_048_576).describe('largest request body'),
    rateLimitPerMinute: z.int().min(1).default(6_000).describe('requests per principal and minute'),
    addressLimitPerMinute: z
      .int()
      .min(1)
      .default(12_000)
      .describe('requests per address and minute, health and documentation included'),
    headersTimeoutMs: z.int().min(100).default(10_000).describe("how long a request's headers may take, in ms"),
    requestTimeoutMs: z.int().min(100).default(30_000).describe('how long a whole request may take to arrive, in ms'),
    maxConnections: z.int().min(1).default(1_000).describe('connections that are open at a time'),
    maxStreams: z.int().min(1).default(200).describe('event streams that are open at a time'),
    maxStreamsPerPrincipal: z.int().min(1).default(50).describe('event streams of one principal'),
    streamPollMs: z
      .int()
      .min(10)
      .default(1_000)
      .describe("how often a watched run's record is read for what another replica wrote, in ms"),
    streamHeartbeatMs: z.int().min(10).default(15_000).describe('comment on a quiet event stream, in ms'),
    corsOrigins: z.array(z.url()).default([]).describe('origins whose pages may call the API; none by default'),
    webhookSigningKey: z
      .string()
      .min(32)
      .optional()
      .meta({ secret: true, description: 'from which secrets of webhooks are derived; absent = no webhooks' }),
    webhookAllowLoopback: z
      .boolean()
      .default(false)
      .describe('webhooks may go to this machine itself, also over http: for laboratories'),
    webhookPrivateHosts: z
      .array(z.string().min(1))
      .default([])
      .describe('hosts of webhooks that may have private addresses'),
    webhookScanMs: z
      .int()
      .min(10)
      .default(60_000)
      .describe('how often run records are looked through for webhooks that nobody told, in ms'),
    webhookRetryMs: z.int().min(1).default(5_000).describe('wait before a webhook is tried again, doubling, in ms'),
    webhookMaxAttempts: z.int().min(1).max(50).default(12).describe('tries of one message'),
    webhookTimeoutMs: z.int().min(10).default(10_000).describe('how long a receiver may take, in ms'),
    controllerUrl: z.url().optional().describe('for the verbs that ask: address of a running controller'),
    controllerApiKey: z.string().optional().meta({ secret: true, description: 'for the verbs that ask: its API key' }),
    crashAt: z
      .string()
      .optional()
      .describe('test switch: the process kills itself at this point, such as `batch.addJob:after`'),
    shutdownGraceTimeMs: z
      .int()
      .min(0)
      .default(10_000)
      .describe('after a stop signal nothing new is begun; what is under way has so long to end, in ms'),
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
    if (config.entraTenantId !== undefined && config.entraAudiences.length === 0) {
      const message = 'name the audiences of the tokens: without one, tokens for any other application would do';
      context.addIssue({ code: 'custom', path: ['entraAudiences'], message });
    }
    if ((config.ledgerAccountUrl === undefined) !== (config.ledgerTableUrl === undefined)) {
      const message = 'give ledgerAccountUrl and ledgerTableUrl together';
      context.addIssue({ code: 'custom', path: ['ledgerTableUrl'], message });
    }
  });

export type ControllerConfig = z.output<typeof configSchema>;
