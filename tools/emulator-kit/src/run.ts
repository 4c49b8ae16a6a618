/** A started emulator: where it listens, and how to stop it. */
export interface StartedEmulator {
  /** Names and addresses, printed in the ready line: `{"endpoints":{"batch":"http://127.0.0.1:1234"}}`. */
  readonly endpoints: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/**
 * Runs an emulator as a process: prints one JSON ready line on stdout, stops on SIGTERM or SIGINT (a second signal
 * forces), and with `exitWithParent` when its standard input closes, so that a parent killed with -9 leaves nothing.
 */
export async function runEmulator(
  name: string,
  start: () => Promise<StartedEmulator>,
  options: { readonly exitWithParent: boolean },
): Promise<void> {
  const emulator = await start();
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    emulator.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${name}: stop failed: ${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  if (options.exitWithParent) {
    process.stdin.resume();
    process.stdin.once('error', () => undefined);
    process.stdin.once('end', () => {
      if (!stopping) stop();
    });
  }
  process.stdout.write(`${JSON.stringify({ ready: true, name, pid: process.pid, endpoints: emulator.endpoints })}\n`);
}
