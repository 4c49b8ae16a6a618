import { z } from 'zod';

/** One event hub to serve. */
export interface HubConfig {
  readonly name: string;
  readonly partitionCount: number;
  /** Besides `$Default`, which every hub has. */
  readonly consumerGroups: readonly string[];
}

export interface NamespaceConfig {
  readonly name: string;
  readonly hubs: readonly HubConfig[];
}

/** Thrown when a configuration file is refused; `faults` names every fault with its place in the file. */
export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(source: string, faults: readonly string[]) {
    super(`${source}: ${faults.length} fault(s)\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/** What is served without a configuration file. */
export const defaultNamespace: NamespaceConfig = {
  name: 'emulatorNs1',
  hubs: [{ name: 'xva-run-requested', partitionCount: 4, consumerGroups: ['xva-file-event-controller'] }],
};

const namePattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const entityName = z
  .string()
  .max(256)
  .regex(namePattern, 'letters, digits, ".", "_" and "-", beginning and ending with a letter or digit');

const groupSchema = z.strictObject({
  Name: z
    .string()
    .max(50)
    .refine((name) => name.toLowerCase() !== '$default', '$Default always exists and is not to be listed')
    .refine((name) => name.toLowerCase() === '$default' || namePattern.test(name), 'not a consumer group name'),
});

const partitionCount = z
  .union([z.int(), z.string().regex(/^\d+$/, 'a whole number').transform(Number)])
  .refine((count) => count >= 1 && count <= 32, 'from 1 to 32');

function repeated(names: readonly string[]): readonly string[] {
  const lower = names.map((name) => name.toLowerCase());
  return names.filter((name, index) => lower.indexOf(name.toLowerCase()) !== index);
}

function unique(what: string): (items: readonly { readonly Name: string }[], context: z.RefinementCtx) => void {
  return (items, context) => {
    for (const name of repeated(items.map((item) => item.Name))) {
      context.addIssue({ code: 'custom', message: `${what} '${name}' is listed twice` });
    }
  };
}

const entitySchema = z.strictObject({
  Name: entityName,
  PartitionCount: partitionCount,
  ConsumerGroups: z.array(groupSchema).max(20).default([]).superRefine(unique('consumer group')),
});

/** The file format of Microsoft's emulator (`Config.json`): `UserConfig.NamespaceConfig`, `UserConfig.LoggingConfig`. */
const fileSchema = z.strictObject({
  UserConfig: z.strictObject({
    NamespaceConfig: z
      .array(
        z.strictObject({
          Type: z.string().refine((type) => type.toLowerCase() === 'eventhub', 'only "EventHub" is served'),
          Name: entityName,
          Entities: z.array(entitySchema).min(1).superRefine(unique('event hub')),
        }),
      )
      .length(1, 'exactly one namespace is served'),
    LoggingConfig: z.looseObject({ Type: z.string() }).optional(),
  }),
});

/**
 * Reads the text of a `Config.json`.
 *
 * @throws ConfigError naming every fault at once.
 */
export function parseConfig(text: string, source: string): NamespaceConfig {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new ConfigError(source, [`not JSON: ${error instanceof Error ? error.message : String(error)}`]);
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) {
    throw new ConfigError(
      source,
      parsed.error.issues.map((issue) => `${issue.path.map(String).join('.') || '(top)'}: ${issue.message}`),
    );
  }
  const [namespace] = parsed.data.UserConfig.NamespaceConfig;
  if (namespace === undefined) throw new ConfigError(source, ['UserConfig.NamespaceConfig: exactly one namespace']);
  return {
    name: namespace.Name,
    hubs: namespace.Entities.map((entity) => ({
      name: entity.Name,
      partitionCount: entity.PartitionCount,
      consumerGroups: entity.ConsumerGroups.map((group) => group.Name),
    })),
  };
}
