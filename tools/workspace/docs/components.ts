import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { buildCli, configMarkdown, type CliDefinition, type CliHost, type ConfigSchema } from '@xva/runtime';
import type { Command } from 'commander';

const execute = promisify(execFile);

/** A component lacks what its documentation is made from. */
export class ComponentError extends Error {
  override readonly name = 'ComponentError';
}

/** Names of the components: the folders of `apps/`. */
export function componentNames(root: string): readonly string[] {
  return readdirSync(join(root, 'apps'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

async function exported(root: string, name: string, file: string, what: string): Promise<unknown> {
  const path = join(root, 'apps', name, 'src', file);
  if (!existsSync(path)) throw new ComponentError(`${name} has no src/${file}`);
  const module = (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  if (module[what] === undefined) throw new ComponentError(`${name}: src/${file} exports no ${what}`);
  return module[what];
}

/** The table of a component's settings. @throws ComponentError */
export async function settingsMarkdown(root: string, name: string): Promise<string> {
  return configMarkdown((await exported(root, name, 'config.ts', 'configSchema')) as ConfigSchema);
}

const helpWidth = 110;

function helpOf(command: Command): string {
  let text = '';
  const width = (): number => helpWidth;
  command.configureOutput({
    writeOut: (part) => (text += part),
    getOutHelpWidth: width,
    getErrHelpWidth: width,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trim();
}

/** What `--help` says of a component and of each verb that takes anything. @throws ComponentError */
export async function helpMarkdown(root: string, name: string): Promise<string> {
  const definition = (await exported(root, name, 'definition.ts', 'definition')) as CliDefinition<ConfigSchema>;
  const nowhere = { write: () => undefined };
  const host: CliHost = {
    argv: [],
    env: {},
    stdout: nowhere,
    stderr: nowhere,
    onStopSignal: () => () => undefined,
    setExitCode: () => undefined,
    forceExit: () => undefined,
  };
  const program = buildCli(definition, host);
  const verbs = program.commands.filter(
    (verb) => verb.name() !== 'help' && verb.options.length + verb.registeredArguments.length > 0,
  );
  return ['```text', [program, ...verbs].map(helpOf).join('\n\n'), '```'].join('\n');
}

const conditions = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];

/** Settings that let the controller print its contract: it connects to nothing for that. */
const nowhereSettings = {
  XVA_WORK_CONNECTION_STRING: 'UseDevelopmentStorage=true',
  XVA_LEDGER_CONNECTION_STRING: 'UseDevelopmentStorage=true',
  XVA_BATCH_URL: 'https://lab.invalid',
  XVA_BATCH_ACCOUNT: 'lab',
  XVA_POOL_ID: 'pool',
};

/** The document of the controller's verb `openapi`, as text of its file. */
export async function controllerOpenApi(root: string): Promise<string> {
  const main = join(root, 'apps/xva-batch-controller-api/src/main.ts');
  if (!existsSync(main)) throw new ComponentError('xva-batch-controller-api has no src/main.ts');
  const { stdout } = await execute(process.execPath, [...conditions, main, 'openapi'], {
    cwd: root,
    env: { PATH: process.env['PATH'], ...nowhereSettings },
    maxBuffer: 64 * 1024 * 1024,
  });
  return prettyJson(stdout);
}

export function prettyJson(text: string): string {
  return `${JSON.stringify(JSON.parse(text), null, 2)}\n`;
}
