import { z } from 'zod';

const name = z.string().regex(/^[a-z0-9]{3,24}$/, 'an account name has 3 to 24 of [a-z0-9]');
const base64 = z
  .string()
  .min(1)
  .refine((value) => Buffer.from(value, 'base64').toString('base64') === value, 'it is not base64');
const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'an id has 1 to 64 of [A-Za-z0-9_-]');
const environment = z.record(z.string(), z.string());

/** A key for a lab on one machine: it protects nothing, and is the same everywhere on purpose. */
export const defaultAccount = {
  name: 'xvalab',
  keyBase64: 'eHZhLWxhYi1lbXVsYXRvci1iYXRjaC1rZXktbm90LWEtc2VjcmV0LWF0LWFsbC4uLi4uLi4uLi4uLi4uLi4uLg==',
};

const cores = z.int().min(0);
const quotas = z.strictObject({
  activeJobsAndSchedules: z.int().min(0).optional(),
  pools: z.int().min(0).optional(),
  dedicatedCores: cores.optional(),
  lowPriorityCores: cores.optional(),
});
const limit = z.int().min(1).optional();

const schema = z
  .strictObject({
    accounts: z
      .array(z.strictObject({ name, keyBase64: base64, quotas: quotas.optional() }))
      .min(1)
      .default([defaultAccount]),
    pools: z
      .array(
        z.strictObject({
          id,
          account: name.optional(),
          vmSize: z.string().min(1),
          targetDedicatedNodes: z.int().min(0).max(10_000).default(1),
          targetLowPriorityNodes: z.int().min(0).max(10_000).default(0),
          taskSlotsPerNode: z.int().min(1).max(256).default(1),
          nodeFillType: z.enum(['spread', 'pack']).optional(),
          metadata: z.array(z.strictObject({ name: z.string().min(1), value: z.string() })).default([]),
          /** Resource ids of the identities that the pool carries; absent = every configured one. */
          identities: z.array(z.string().min(1)).optional(),
        }),
      )
      .default([]),
    identities: z
      .record(
        z.string().min(1),
        z.strictObject({
          storage: z.array(z.strictObject({ account: name, keyBase64: base64, blobEndpoint: z.url() })),
        }),
      )
      .default({}),
    containerImages: z
      .record(
        z.string().min(1),
        z.strictObject({ env: environment.default({}), command: z.array(z.string()).default([]) }),
      )
      .default({}),
    /** `auto`: docker or podman, whichever answers first; `none`; or the program's name or path. */
    containerRuntime: z.string().min(1).default('auto'),
    taskLimits: z
      .strictObject({
        memoryBytes: limit,
        openFiles: limit,
        processes: limit,
        cpuSeconds: limit,
        fileBytes: limit,
        cgroup: z.string().startsWith('/').optional(),
      })
      .prefault({}),
    vmCores: z.record(z.string().min(1), z.int().min(1)).default({}),
    sampleSeconds: z.number().min(0.01).default(30),
    nodeEnvironment: environment.optional(),
    limits: z
      .strictObject({
        activeJobsAndSchedules: z.int().min(0).default(300),
        pools: z.int().min(0).default(100),
        dedicatedCores: cores.default(1_000_000),
        lowPriorityCores: cores.default(1_000_000),
        /** Requests a second of one account before 429; 0 = any number. */
        requestsPerSecond: z.number().min(0).default(0),
        /** Azure's shortest times, which tests may shorten. */
        shortestScheduleSeconds: z.number().min(0.001).default(60),
        shortestAutoscaleSeconds: z.number().min(0.001).default(300),
        enableAutoscaleSeconds: z.number().min(0).default(30),
        maxBodyBytes: z
          .int()
          .min(1024)
          .default(1024 * 1024),
      })
      .prefault({}),
    /** Spelling of `status` in collections and `category` of failures: as the api-version asks, or always the same. */
    casing: z.enum(['byApiVersion', 'lower', 'pascal']).default('byApiVersion'),
    nodeBootMs: z.int().min(0).default(50),
    killGraceMs: z.int().min(0).default(0),
  })
  .superRefine((config, context) => {
    const accounts = new Set(config.accounts.map((account) => account.name));
    if (accounts.size < config.accounts.length) {
      context.addIssue({ code: 'custom', path: ['accounts'], message: 'an account is named twice' });
    }
    for (const [index, pool] of config.pools.entries()) {
      if (pool.account !== undefined && !accounts.has(pool.account)) {
        context.addIssue({ code: 'custom', path: ['pools', index, 'account'], message: `no account ${pool.account}` });
      }
    }
  });

export type EmulatorConfig = z.output<typeof schema>;
export type EmulatorConfigInput = z.input<typeof schema>;

/** Thrown with every fault of a configuration, each with its path. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(`the configuration is invalid:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
    this.faults = faults;
  }
}

/** @throws ConfigError naming every fault together */
export function parseConfig(input: unknown): EmulatorConfig {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new ConfigError(parsed.error.issues.map((issue) => `${issue.path.join('.') || '(top)'}: ${issue.message}`));
}
