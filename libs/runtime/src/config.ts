import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** Thrown when configuration does not fit; names every bad value at once, by setting and by environment variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly issues: readonly string[];

  constructor(issues: readonly string[]) {
    super(`configuration is not valid:\n${issues.map((issue) => `  - ${issue}`).join('\n')}`);
    this.issues = issues;
  }
}

declare module 'zod' {
  interface GlobalMeta {
    /** Never printed or logged. */
    secret?: boolean;
  }
}

export type ConfigSchema = z.ZodObject;

/** `shutdownGraceTimeMs` → `XVA_SHUTDOWN_GRACE_TIME_MS` */
export function envNameOf(setting: string): string {
  return `XVA_${setting.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}`;
}

function fromText(schema: z.ZodType, text: string): unknown {
  if (schema.safeParse(text).success) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** JSON file with the same settings; the environment wins over it. */
  readonly file?: string | undefined;
}

function readFile(path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError([`file ${path} cannot be read as JSON: ${(error as Error).message}`]);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError([`file ${path} must hold one JSON object`]);
  }
  return value as Record<string, unknown>;
}

/**
 * Settings from a file and the environment (numbers, booleans and lists as JSON text), checked in one go. A variable
 * with the prefix `XVA_` that is no setting is refused only in the file, since several components share an environment.
 *
 * @throws ConfigError naming every bad, missing or unknown setting together.
 */
export function loadConfig<S extends ConfigSchema>(schema: S, sources: ConfigSources): z.output<S> {
  const file = sources.file === undefined ? {} : readFile(sources.file);
  const known = schema.shape as Record<string, z.ZodType>;
  const values: Record<string, unknown> = {};
  const issues = Object.keys(file)
    .filter((name) => !(name in known))
    .map((name) => `${name}: no such setting (file ${sources.file ?? ''})`);
  for (const [name, field] of Object.entries(known)) {
    const text = sources.env[envNameOf(name)];
    if (text !== undefined && text !== '') values[name] = fromText(field, text);
    else if (file[name] !== undefined) values[name] = file[name];
  }
  const result = schema.safeParse(values);
  if (!result.success) {
    for (const issue of result.error.issues) {
      const [name, ...rest] = issue.path.map(String);
      const where = name === undefined ? 'settings' : `${[name, ...rest].join('.')} (${envNameOf(name)})`;
      const missing = name !== undefined && values[name] === undefined;
      issues.push(`${where}: ${missing ? 'is required' : issue.message}`);
    }
  }
  if (issues.length > 0) throw new ConfigError(issues);
  return result.data as z.output<S>;
}

function metaOf(field: z.ZodType): { description?: string | undefined; secret?: boolean | undefined } {
  let current: z.ZodType | undefined = field;
  while (current !== undefined) {
    const meta = z.globalRegistry.get(current);
    if (meta !== undefined) return { description: meta.description, secret: meta.secret };
    current = (current.def as { innerType?: z.ZodType }).innerType;
  }
  return {};
}

/** The settings with secrets replaced, fit for printing. Connection strings lose their keys and passwords. */
export function redactConfig(schema: ConfigSchema, config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields = schema.shape as Record<string, z.ZodType>;
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => {
      const field = fields[name];
      const secret = field !== undefined && metaOf(field).secret === true;
      return [name, secret && value !== undefined ? '[redacted]' : value];
    }),
  );
}

export interface ConfigRow {
  readonly setting: string;
  readonly env: string;
  readonly required: boolean;
  readonly default: string;
  readonly secret: boolean;
  readonly description: string;
}

/** One row per setting, for the documentation's tables. */
export function describeConfig(schema: ConfigSchema): readonly ConfigRow[] {
  return Object.entries(schema.shape as Record<string, z.ZodType>).map(([setting, field]) => {
    const { description, secret } = metaOf(field);
    const absent = field.safeParse(undefined);
    const standard = absent.success ? absent.data : undefined;
    return {
      setting,
      env: envNameOf(setting),
      required: !absent.success,
      default: standard === undefined ? '' : JSON.stringify(standard),
      secret: secret === true,
      description: description ?? '',
    };
  });
}

/** The rows as a Markdown table. */
export function configMarkdown(schema: ConfigSchema): string {
  const lines = describeConfig(schema).map((row) => {
    const standard = row.default === '' ? '' : `\`${row.default.replaceAll('|', '\\|')}\``;
    const description = `${row.description}${row.secret ? ' (secret)' : ''}`.trim().replaceAll('|', '\\|');
    return `| \`${row.setting}\` | \`${row.env}\` | ${row.required ? 'required' : standard} | ${description} |`;
  });
  return ['| Setting | Environment | Default | What it is |', '| --- | --- | --- | --- |', ...lines].join('\n');
}
