import { Command, CommanderError } from 'commander';
import type { z } from 'zod';
import { ConfigError, loadConfig, redactConfig, type ConfigSchema } from './config.ts';
import { runChecks, type Check } from './health.ts';
import { runWithLifecycle, type Lifecycle } from './lifecycle.ts';
import { createLogger, describeError, logLevels, type Logger } from './logging.ts';
import { printableJson } from './text.ts';

/** Exit codes of every component, the same everywhere. */
export const cliExitCodes = { ok: 0, failed: 1, usage: 2, badConfig: 3, notReady: 4, refused: 5, forced: 130 } as const;

/** A failure with a message for people and its own exit code; thrown by verbs. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number = cliExitCodes.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The process as a component sees it; only `main.ts` makes one from the real process. */
export interface CliHost {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly onStopSignal: (handler: (signal: string) => void) => () => void;
  readonly setExitCode: (code: number) => void;
  readonly forceExit: (code: number) => void;
}

export interface VerbContext<S extends ConfigSchema> {
  readonly config: z.output<S>;
  readonly logger: Logger;
  readonly lifecycle: Lifecycle;
  readonly json: boolean;
  /** Prints a result on stdout: one JSON document with `--json`, the text otherwise. */
  readonly output: (result: unknown, text: string) => void;
  /** Prints a line of a stream of results: a JSON line with `--json`, the text otherwise. */
  readonly outputLine: (result: unknown, text: string) => void;
}

/** A verb of a component's command line. */
export interface Verb<S extends ConfigSchema> {
  readonly name: string;
  readonly description: string;
  /** Positional arguments, `<required>` or `[optional]`. */
  readonly args?: readonly { readonly name: string; readonly description: string }[];
  readonly options?: readonly {
    readonly flags: string;
    readonly description: string;
    readonly default?: string | boolean;
  }[];
  readonly run: (
    context: VerbContext<S>,
    args: readonly string[],
    options: Readonly<Record<string, string | boolean | undefined>>,
  ) => Promise<void>;
}

export interface CliDefinition<S extends ConfigSchema> {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly configSchema: S;
  /** `run` and `once` at least; `check` and `config` are added here. */
  readonly verbs: readonly Verb<S>[];
  /** Connectivity and rights, for `check`. */
  readonly checks: (
    config: z.output<S>,
    logger: Logger,
  ) => Promise<{ checks: readonly Check[]; close: () => Promise<void> }>;
}

const epilogue = `
Exit codes: 0 done · 1 failed · 2 wrong call · 3 configuration not valid · 4 a dependency is not ready · 5 refused · 130 forced stop
Logs go to stderr as JSON lines, results to stdout. Settings come from --config FILE and the environment (which wins).`;

function builtinVerbs<S extends ConfigSchema>(definition: CliDefinition<S>): readonly Verb<S>[] {
  return [
    {
      name: 'check',
      description: 'print the configuration (secrets redacted) and try every dependency and right',
      run: async (context) => {
        const { checks, close } = await definition.checks(context.config, context.logger);
        const results = await runChecks(checks).finally(close);
        const config = redactConfig(definition.configSchema, context.config);
        const lines = results.map(
          (check) => `${check.ok ? 'ok  ' : 'FAIL'} ${check.name}: ${check.detail} (${check.tookMs} ms)`,
        );
        context.output({ config, checks: results }, [JSON.stringify(config, null, 2), ...lines].join('\n'));
        const failed = results.filter((check) => !check.ok).map((check) => check.name);
        if (failed.length > 0) throw new CliError(`not ready: ${failed.join(', ')}`, cliExitCodes.notReady);
      },
    },
    {
      name: 'config',
      description: 'print the configuration with secrets redacted',
      run: (context) => {
        const config = redactConfig(definition.configSchema, context.config);
        context.output(config, JSON.stringify(config, null, 2));
        return Promise.resolve();
      },
    },
  ];
}

/** The component's commander program; building it starts nothing. */
export function buildCli<S extends ConfigSchema>(definition: CliDefinition<S>, host: CliHost): Command {
  const program = new Command(definition.name)
    .description(definition.description)
    .version(definition.version)
    .option('--config <file>', 'JSON file with settings')
    .option('--json', 'print results as JSON', false)
    .option('--log-level <level>', `one of ${logLevels.join(', ')}`, 'info')
    .addHelpText('after', epilogue)
    .exitOverride()
    .configureOutput({ writeOut: (text) => host.stdout.write(text), writeErr: (text) => host.stderr.write(text) });
  for (const verb of [...definition.verbs, ...builtinVerbs(definition)]) {
    const command = program.command(verb.name).description(verb.description);
    for (const argument of verb.args ?? []) command.argument(argument.name, argument.description);
    for (const option of verb.options ?? []) command.option(option.flags, option.description, option.default);
    command.action(async (...received: unknown[]) => {
      const count = verb.args?.length ?? 0;
      const args = received.slice(0, count).map((value) => (typeof value === 'string' ? value : ''));
      const options = received[count] as Record<string, string | boolean | undefined>;
      await runVerb(definition, host, verb, args, options, program.opts<GlobalOptions>());
    });
  }
  return program;
}

interface GlobalOptions {
  readonly config?: string;
  readonly json?: boolean;
  readonly logLevel?: string;
}

async function runVerb<S extends ConfigSchema>(
  definition: CliDefinition<S>,
  host: CliHost,
  verb: Verb<S>,
  args: readonly string[],
  options: Readonly<Record<string, string | boolean | undefined>>,
  globals: GlobalOptions,
): Promise<void> {
  const level = logLevels.find((name) => name === globals.logLevel);
  if (level === undefined) throw new CliError(`--log-level must be one of ${logLevels.join(', ')}`, cliExitCodes.usage);
  const config = loadConfig(definition.configSchema, { env: host.env, file: globals.config });
  const logger = createLogger(definition.name, level, { write: (line) => void host.stderr.write(line) });
  const grace = (config as Record<string, unknown>)['shutdownGraceTimeMs'];
  const json = globals.json === true;
  const line = (result: unknown, text: string): void => {
    host.stdout.write(`${json ? printableJson(result) : text}\n`);
  };
  await runWithLifecycle(
    {
      logger,
      shutdownGraceTimeMs: typeof grace === 'number' ? grace : 10_000,
      onStopSignal: host.onStopSignal,
      forceExit: host.forceExit,
    },
    (lifecycle) => verb.run({ config, logger, lifecycle, json, output: line, outputLine: line }, args, options),
  );
}

/** Runs the command line and sets the exit code; never throws. */
export async function runCli<S extends ConfigSchema>(definition: CliDefinition<S>, host: CliHost): Promise<void> {
  try {
    await buildCli(definition, host).parseAsync([...host.argv]);
    host.setExitCode(cliExitCodes.ok);
  } catch (error) {
    if (error instanceof CommanderError) {
      host.setExitCode(error.exitCode === 0 ? cliExitCodes.ok : cliExitCodes.usage);
      return;
    }
    const exitCode =
      error instanceof CliError
        ? error.exitCode
        : error instanceof ConfigError
          ? cliExitCodes.badConfig
          : cliExitCodes.failed;
    host.stderr.write(
      `${JSON.stringify({ level: 'error', component: definition.name, error: describeError(error), message: error instanceof Error ? error.message : String(error) })}\n`,
    );
    host.setExitCode(exitCode);
  }
}
