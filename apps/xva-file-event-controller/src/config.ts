import { crashPoints } from '@xva/flow-package';
import { ledgerContainers } from '@xva/contracts';
import { z } from 'zod';

const milliseconds = z.int().min(1);
const megabyte = 1024 * 1024;

export const configSchema = z
  .object({
    hubNamespace: z.string().optional().describe('Event Hubs by Entra identity: `<namespace>.servicebus.windows.net`'),
    hubConnectionString: z.string().optional().meta({ secret: true, description: 'Event Hubs by connection string' }),
    hubName: z.string().min(1).default('xva-runs').describe('event hub that run events come from'),
    hubConsumerGroup: z
      .string()
      .min(1)
      .default('xva-file-event-controller')
      .describe('consumer group, for this component only'),
    hubTransport: z.enum(['amqp', 'websockets']).default('amqp').describe('`amqp` (5671) or `websockets` (443)'),
    hubProxyUrl: z.url().optional().describe('HTTP proxy for `websockets`'),
    hubTryTimeoutMs: milliseconds.default(10_000).describe('time for one try to reach the hub, in ms'),
    balanceIntervalMs: milliseconds
      .default(1_000)
      .describe('how often partitions are shared out and ownership is renewed, in ms; on Azure about 10000'),
    ownershipExpiryMs: milliseconds
      .default(4_000)
      .describe('after which a silent process loses its partitions, in ms; on Azure 30000 to 60000'),
    checkpointContainer: z
      .string()
      .min(3)
      .default(ledgerContainers.checkpoints)
      .describe('container in the ledger account; one per hub and environment'),
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
    ledgerAccountUrl: z.url().optional().describe('ledger account by Entra identity'),
    inputApiUrl: z.url().describe('address of the input API, without `/v1`'),
    inputApiKey: z.string().min(1).meta({ secret: true, description: 'its API key, sent as `x-api-key`' }),
    inputApiDeadlineMs: milliseconds.default(120_000).describe('time for one package to be made, in ms'),
    controllerUrl: z.url().describe('address of the batch controller, without `/v1`'),
    controllerApiKey: z.string().min(1).meta({ secret: true, description: 'its API key, sent as `x-api-key`' }),
    controllerDeadlineMs: milliseconds.default(15_000).describe('time for one job request, in ms'),
    partDeadlineMs: milliseconds.default(120_000).describe('time for one part to arrive, in ms'),
    eventsAtOnce: z.int().min(1).max(256).default(16).describe('events of one partition worked on side by side'),
    eventsAhead: z
      .int()
      .min(1)
      .max(4096)
      .default(128)
      .describe('events of one partition taken in and not yet behind its checkpoint'),
    checkpointIntervalMs: z
      .int()
      .min(0)
      .default(500)
      .describe('least time between two checkpoints of a partition, in ms'),
    orderByBook: z.boolean().default(false).describe('events of one book one after the other'),
    packagesAtOnce: z.int().min(1).max(256).default(8).describe('calls for a package at once, over all partitions'),
    transfersAtOnce: z.int().min(1).max(512).default(32).describe('parts looked up or in transfer at once'),
    largePartsAtOnce: z
      .int()
      .min(1)
      .max(64)
      .default(4)
      .describe('of these, parts above 1 MiB, which are sent in blocks (about 20 MiB of memory each)'),
    eventBudgetMs: milliseconds
      .default(600_000)
      .describe('how long an event may fail by itself, outages not counted, before it becomes a dead letter, in ms'),
    retryBaseMs: milliseconds.default(100).describe('longest first wait before another try, doubling, in ms'),
    retryMaxMs: milliseconds.default(10_000).describe('longest wait before another try, in ms'),
    operatorRetryMs: milliseconds
      .default(10_000)
      .describe('wait between tries while a person must change something, in ms'),
    circuitFailures: z
      .int()
      .min(1)
      .default(8)
      .describe('failures in a row after which the input API or the controller is left alone'),
    circuitCoolDownMs: milliseconds.default(2_000).describe('for how long, in ms'),
    maxRequestBytes: z
      .int()
      .min(1)
      .default(64 * megabyte)
      .describe('largest frozen request, in bytes'),
    maxManifestBytes: z
      .int()
      .min(1)
      .default(64 * megabyte)
      .describe('largest manifest, in bytes'),
    maxPartBytes: z
      .int()
      .min(1)
      .default(1024 * megabyte)
      .describe('largest part, in bytes'),
    maxPackageBytes: z
      .int()
      .min(1)
      .default(4096 * megabyte)
      .describe('largest package, in bytes'),
    crashAt: z.enum(crashPoints).optional().describe('test switch: end the process with SIGKILL at this point'),
    opsHost: z.string().default('127.0.0.1').describe('address of the operations port'),
    opsPort: z.int().min(0).max(65_535).default(8082).describe('operations port; 0 = any free one'),
    shutdownGraceTimeMs: z
      .int()
      .min(0)
      .default(20_000)
      .describe('after a stop signal nothing new is begun; what is under way has so long to end, in ms'),
  })
  .superRefine((config, context) => {
    const pairs = [
      ['hubNamespace', 'hubConnectionString'],
      ['workAccountUrl', 'workConnectionString'],
      ['ledgerAccountUrl', 'ledgerConnectionString'],
    ] as const;
    for (const [identity, connection] of pairs) {
      if ((config[identity] === undefined) === (config[connection] === undefined)) {
        context.addIssue({ code: 'custom', path: [identity], message: `give either this or ${connection}` });
      }
    }
    if (config.ownershipExpiryMs < 2 * config.balanceIntervalMs) {
      const message = 'must be at least twice balanceIntervalMs, or a healthy process loses its partitions';
      context.addIssue({ code: 'custom', path: ['ownershipExpiryMs'], message });
    }
    if (config.hubProxyUrl !== undefined && config.hubTransport !== 'websockets') {
      context.addIssue({ code: 'custom', path: ['hubProxyUrl'], message: 'needs hubTransport websockets' });
    }
  });

export type ControllerConfig = z.output<typeof configSchema>;
