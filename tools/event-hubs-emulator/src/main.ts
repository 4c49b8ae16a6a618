import { readFileSync } from 'node:fs';
import { runEmulator } from '@xva/emulator-kit';
import { parseArguments, UsageError, usage } from './arguments.ts';
import { ConfigError, parseConfig } from './config.ts';
import { explore } from './explore/explore.ts';
import { startEventHubsEmulator } from './start.ts';

/** As `kill -9` from outside: nothing is flushed, nothing is closed. */
function crash(): Promise<never> {
  process.kill(process.pid, 'SIGKILL');
  return new Promise<never>(() => undefined);
}

try {
  const command = parseArguments(process.argv.slice(2));
  if (command.verb === 'help') process.stdout.write(usage);
  else if (command.verb === 'run') {
    const { configFile, exitWithParent, options } = command;
    const config =
      configFile === undefined ? {} : { namespaces: parseConfig(readFileSync(configFile, 'utf8'), configFile) };
    await runEmulator('event-hubs-emulator', () => startEventHubsEmulator({ ...options, ...config, crash }), {
      exitWithParent,
    });
  } else {
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort());
    process.once('SIGTERM', () => stop.abort());
    await explore(command, (line) => process.stdout.write(`${line}\n`), stop.signal);
  }
} catch (error) {
  const isUsage = error instanceof UsageError || error instanceof ConfigError;
  process.stderr.write(`event-hubs-emulator: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = isUsage ? 2 : 1;
}
