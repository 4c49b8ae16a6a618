import type { CliHost } from './cli.ts';

/** The part of Node's `process` that a component may touch; `main.ts` passes the real one. */
export interface ProcessLike {
  readonly argv: string[];
  readonly env: Record<string, string | undefined>;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: { write(text: string): unknown };
  readonly stdin: NodeJS.ReadStream;
  exitCode?: number | string | null | undefined;
  exit(code: number): never;
  on(event: 'SIGTERM' | 'SIGINT', handler: (signal: string) => void): unknown;
  off(event: 'SIGTERM' | 'SIGINT', handler: (signal: string) => void): unknown;
}

/**
 * The host that `main.ts` gives to the CLI. SIGTERM and SIGINT stop it, and with `XVA_EXIT_WITH_PARENT=true` the end of
 * standard input does too, so that a parent killed with -9 leaves no orphan.
 */
export function processHost(process: ProcessLike): CliHost {
  // A reader such as `head` that has seen enough closes the pipe: that is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return {
    argv: process.argv,
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    onStopSignal: (handler) => {
      process.on('SIGTERM', handler);
      process.on('SIGINT', handler);
      const onEnd = (): void => handler('end of standard input');
      if (process.env['XVA_EXIT_WITH_PARENT'] === 'true') process.stdin.resume().once('end', onEnd);
      return () => {
        process.off('SIGTERM', handler);
        process.off('SIGINT', handler);
        process.stdin.off('end', onEnd).pause();
      };
    },
    setExitCode: (code) => {
      process.exitCode = code;
    },
    forceExit: (code) => process.exit(code),
  };
}
