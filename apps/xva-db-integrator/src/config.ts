import { crashPoints } from '@xva/flow-detect';
import { watchCrashPoints } from '@xva/sql-polling';
import { z } from 'zod';

const milliseconds = z.int().min(1).max(86_400_000);

export const configSchema = z.object({
  definitionsFile: z.string().min(1).describe('polling definitions, a YAML or JSON file; see the page'),
  sqlServer: z.string().min(1).describe('host of the SQL Server'),
  sqlPort: z.int().min(1).max(65_535).default(1433).describe('its port'),
  sqlDatabase: z.string().min(1).describe('database with the request table'),
  sqlUser: z.string().min(1).describe('SQL login'),
  sqlPassword: z.string().min(1).meta({ secret: true, description: 'its password' }),
  sqlEncrypt: z
    .enum(['true', 'strict', 'false'])
    .default('true')
    .describe('`true`: TLS; `strict`: TDS 8.0; `false` only for a server on this machine'),
  sqlTrustServerCertificate: z.boolean().default(false).describe('accept any certificate (never with `strict`)'),
  sqlCaFile: z.string().optional().describe("PEM file of the authority that signed the server's certificate"),
  sqlCertificateName: z.string().optional().describe('name in the certificate, when it is not the host'),
  sqlConnectTimeoutMs: milliseconds.default(15_000).describe('time for a login, in ms'),
  sqlRequestTimeoutMs: milliseconds.default(15_000).describe('time to the first packet of an answer, in ms'),
  sqlDeadlineMs: milliseconds.default(60_000).describe('time to the last row of an answer, in ms'),
  sqlLockTimeoutMs: z.int().min(0).max(600_000).default(2_000).describe('longest wait for a lock, in ms'),
  sqlPoolSize: z.int().min(1).max(64).default(4).describe('connections at most'),
  workConnectionString: z.string().optional().meta({ secret: true, description: 'work account by connection string' }),
  workAccountUrl: z
    .url()
    .optional()
    .describe('work account by Entra identity: `https://<account>.blob.core.windows.net`'),
  ledgerConnectionString: z
    .string()
    .optional()
    .meta({ secret: true, description: 'ledger account by connection string, for definitions that only read' }),
  ledgerTableUrl: z.url().optional().describe('the same by Entra identity: `https://<account>.table.core.windows.net`'),
  hubNamespace: z.string().optional().describe('Event Hubs by Entra identity: `<namespace>.servicebus.windows.net`'),
  hubConnectionString: z.string().optional().meta({ secret: true, description: 'Event Hubs by connection string' }),
  hubName: z.string().min(1).default('xva-runs').describe('event hub that run events go to'),
  hubTransport: z.enum(['amqp', 'websockets']).default('amqp').describe('`amqp` (5671) or `websockets` (443)'),
  hubProxyUrl: z.url().optional().describe('HTTP proxy for `websockets`'),
  hubTryTimeoutMs: milliseconds.default(10_000).describe('time for one try to send, in ms'),
  rowConcurrency: z
    .int()
    .min(1)
    .max(256)
    .default(4)
    .describe('rows worked on side by side, per definition; what they ask of the database at one time goes together'),
  workerName: z.string().max(200).optional().describe('who claims, as the table shows it; default host and process'),
  crashAt: z
    .enum([...crashPoints, ...watchCrashPoints])
    .optional()
    .describe('test switch: end the process with SIGKILL at this point'),
  opsHost: z.string().default('127.0.0.1').describe('address of the operations port'),
  opsPort: z.int().min(0).max(65_535).default(8081).describe('operations port; 0 = any free one'),
  shutdownGraceTimeMs: z
    .int()
    .min(0)
    .default(20_000)
    .describe('after a stop signal nothing new is begun; what is under way has so long to end, in ms'),
});

export type IntegratorConfig = z.output<typeof configSchema>;
