import { z } from 'zod';
import { defaultPolicy, type SharedAccessPolicy } from './auth/sas.ts';

/** One event hub to serve. */
export interface HubConfig {
  readonly name: string;
  readonly partitionCount: number;
  /** Besides `$Default`, which every hub has. */
  readonly consumerGroups: readonly string[];
  /** Whole segments whose last event is older are deleted; without it the emulator's own setting holds. */
  readonly retentionMs?: number;
  /** Per partition; without it the emulator's own setting holds. */
  readonly retentionBytes?: number;
}

export interface NamespaceConfig {
  readonly name: string;
  readonly hubs: readonly HubConfig[];
  /** Of the namespace and of its hubs; without any the default policy alone. */
  readonly policies?: readonly SharedAccessPolicy[];
  /** Above them senders hear "server busy" and receivers wait; without them nothing is held back. */
  readonly throughputUnits?: number;
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
  hubs: [{ name: 'xva-runs', partitionCount: 4, consumerGroups: ['xva-file-event-controller'] }],
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

/** As in the service's resource templates: `Microsoft.EventHub/namespaces/authorizationRules`. */
const ruleSchema = z
  .strictObject({
    Name: entityName,
    Rights: z
      .array(z.enum(['Send', 'Listen', 'Manage']))
      .min(1)
      .refine(
        (rights) => !rights.includes('Manage') || (rights.includes('Send') && rights.includes('Listen')),
        'Manage needs Send and Listen too',
      ),
    PrimaryKey: z.string().min(1).max(256),
    SecondaryKey: z.string().min(1).max(256).optional(),
  })
  .refine((rule) => rule.SecondaryKey !== rule.PrimaryKey, 'the two keys of a rule must differ');

const rules = z.array(ruleSchema).max(12).default([]).superRefine(unique('authorization rule'));

const entitySchema = z.strictObject({
  Name: entityName,
  PartitionCount: partitionCount,
  ConsumerGroups: z.array(groupSchema).max(20).default([]).superRefine(unique('consumer group')),
  // From here on: fields that Microsoft's emulator does not have.
  RetentionHours: z.number().positive().optional(),
  RetentionBytes: z.int().positive().optional(),
  AuthorizationRules: rules,
});

/**
 * The file format of Microsoft's emulator (`Config.json`): `UserConfig.NamespaceConfig`, `UserConfig.LoggingConfig`,
 * and a few fields of our own (README).
 */
const fileSchema = z.strictObject({
  UserConfig: z.strictObject({
    NamespaceConfig: z
      .array(
        z.strictObject({
          Type: z.string().refine((type) => type.toLowerCase() === 'eventhub', 'only "EventHub" is served'),
          Name: entityName,
          Entities: z.array(entitySchema).min(1).superRefine(unique('event hub')),
          ThroughputUnits: z.int().min(1).max(40).optional(),
          AuthorizationRules: rules,
        }),
      )
      .min(1, 'a namespace is needed')
      .superRefine(unique('namespace')),
    LoggingConfig: z.looseObject({ Type: z.string() }).optional(),
  }),
});

type RuleOfFile = z.infer<typeof ruleSchema>;

function toPolicies(list: readonly RuleOfFile[], hub?: string): readonly SharedAccessPolicy[] {
  return list.flatMap(({ Name, Rights, PrimaryKey, SecondaryKey }) =>
    [PrimaryKey, SecondaryKey]
      .filter((key) => key !== undefined)
      .map((key) => ({ name: Name, key, claims: Rights, ...(hub === undefined ? {} : { hub }) })),
  );
}

/** Every fault of a part of the file, with its place; a field that is not known is named. */
function faultsOf(error: z.ZodError): readonly string[] {
  return error.issues.map((issue) => `${issue.path.map(String).join('.') || '(top)'}: ${issue.message}`);
}

/**
 * Reads the text of a `Config.json`. The default policy exists in every namespace that has no rule of its name.
 *
 * @throws ConfigError naming every fault at once.
 */
export function parseConfig(text: string, source: string): readonly NamespaceConfig[] {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new ConfigError(source, [`not JSON: ${error instanceof Error ? error.message : String(error)}`]);
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) throw new ConfigError(source, faultsOf(parsed.error));
  return parsed.data.UserConfig.NamespaceConfig.map((namespace) => {
    const own = toPolicies(namespace.AuthorizationRules);
    const hasRoot = own.some((policy) => policy.name === defaultPolicy.name);
    return {
      name: namespace.Name,
      ...(namespace.ThroughputUnits === undefined ? {} : { throughputUnits: namespace.ThroughputUnits }),
      policies: [
        ...(hasRoot ? [] : [defaultPolicy]),
        ...own,
        ...namespace.Entities.flatMap((entity) => toPolicies(entity.AuthorizationRules, entity.Name)),
      ],
      hubs: namespace.Entities.map((entity) => ({
        name: entity.Name,
        partitionCount: entity.PartitionCount,
        consumerGroups: entity.ConsumerGroups.map((group) => group.Name),
        ...(entity.RetentionHours === undefined ? {} : { retentionMs: entity.RetentionHours * 3_600_000 }),
        ...(entity.RetentionBytes === undefined ? {} : { retentionBytes: entity.RetentionBytes }),
      })),
    };
  });
}
