import { z } from 'zod';

export const configSchema = z.object({
  workConnectionString: z.string().optional().meta({ secret: true, description: 'work account by connection string' }),
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
  policyFile: z.string().min(1).describe('sweep policy, a JSON file; see the examples'),
  schedule: z.string().default('17 * * * *').describe('cron pattern of the cycle in `run`'),
  scheduleTimezone: z.string().default('UTC').describe('IANA time zone of the schedule'),
  sweepEnabled: z
    .boolean()
    .default(false)
    .describe('false: the cycle marks and reports only; true: it sweeps, below the ceiling'),
  storageParallelism: z
    .int()
    .min(1)
    .max(256)
    .default(16)
    .describe('requests to Storage in flight at most; fewer while it says to slow down'),
  blobBatches: z.boolean().default(true).describe('delete up to 256 blobs with one request where the account takes it'),
  actor: z.string().min(1).max(100).default('xva-batch-gc').describe('who sweeps, for the audit'),
  opsHost: z.string().default('127.0.0.1').describe('address of the operations port'),
  opsPort: z.int().min(0).max(65_535).default(8083).describe('operations port; 0 = any free one'),
  crashAt: z
    .string()
    .optional()
    .describe('for tests only: end with SIGKILL at the Nth passage of a named point, `name` or `name:N`'),
  shutdownGraceTimeMs: z
    .int()
    .min(0)
    .default(30_000)
    .describe('after a stop signal nothing new is begun; what is under way has so long to end, in ms'),
});

export type GcConfig = z.output<typeof configSchema>;
