import { runCli } from '@xva/runtime';
import { definition } from '../src/definition.ts';

export interface CliResult {
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
}

/** The command line without a process of its own: what it prints and its exit code. */
export async function runInProcess(args: readonly string[], env: Readonly<Record<string, string>>): Promise<CliResult> {
  let [out, err] = ['', ''];
  let code: number | undefined;
  await runCli(definition, {
    argv: ['node', definition.name, ...args],
    env,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    onStopSignal: () => () => undefined,
    setExitCode: (exitCode) => (code = exitCode),
    forceExit: () => undefined,
  });
  return { code, out, err };
}
