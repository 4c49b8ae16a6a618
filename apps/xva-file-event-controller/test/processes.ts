import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runCli } from '@xva/runtime';
import { definition } from '../src/definition.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

export type Settings = Readonly<Record<string, string | number | boolean>>;

function environment(settings: Settings): Record<string, string> {
  const names = Object.entries(settings).map(([name, value]): [string, string] => [
    `XVA_${name.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}`,
    String(value),
  ]);
  return { PATH: process.env['PATH'] ?? '', XVA_EXIT_WITH_PARENT: 'true', ...Object.fromEntries(names) };
}

const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
/** Halves the start of a process. One that is killed writes none, so that the first of all ends in order. */
const compiled = fileURLToPath(new URL('../../../node_modules/.cache/xva-file-event-controller', import.meta.url));

function launch(settings: Settings): ChildProcessWithoutNullStreams {
  const cached = { NODE_COMPILE_CACHE: compiled };
  if (!existsSync(compiled)) spawnSync(process.execPath, [...flags, main, '--help'], { env: cached });
  const child = spawn(process.execPath, [...flags, main, 'run'], {
    env: { ...environment(settings), ...cached },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined);
  return child;
}

export interface RunningApp {
  readonly opsUrl: string;
  readonly log: readonly Readonly<Record<string, unknown>>[];
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  kill(signal: NodeJS.Signals): void;
}

/** The component as a process, ready. */
export async function startApp(settings: Settings): Promise<RunningApp> {
  const child = launch(settings);
  const log: Record<string, unknown>[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    try {
      log.push(JSON.parse(line) as Record<string, unknown>);
    } catch {
      log.push({ line });
    }
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  );
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void exited.then(() => reject(new Error(`did not start: ${JSON.stringify(log)}`)));
  });
  const { endpoints } = JSON.parse(line) as { endpoints: { ops: string } };
  return { opsUrl: endpoints.ops, log, exited, kill: (signal) => void child.kill(signal) };
}

/** A verb to its end, within this process, as `main.ts` would run it. */
export async function runVerb(
  args: readonly string[],
  settings: Settings,
  global: readonly string[] = ['--json'],
): Promise<{ code: number; out: string; err: string }> {
  const result = { code: -1, out: '', err: '' };
  await runCli(definition, {
    argv: ['node', 'xva-file-event-controller', ...global, ...args],
    env: environment(settings),
    stdout: { write: (text) => (result.out += text) },
    stderr: { write: (text) => (result.err += text) },
    onStopSignal: () => () => undefined,
    setExitCode: (code) => (result.code = code),
    forceExit: () => undefined,
  });
  return result;
}

/** Resolves once the condition holds; fails the test loudly when it never does. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 40_000,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never happened within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
