import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { parseArgs } from 'node:util';
import { runEmulator } from '@xva/emulator-kit';
import { ConfigError } from './config.ts';
import { CgroupError } from './run/cgroup.ts';
import { startBatchEmulator } from './start.ts';
import { DataInUseError } from './store/database.ts';

const help = `azure-batch-emulator: the Azure Batch data plane on this machine

  --data DIR           keep the state in DIR (otherwise in memory: gone at the end)
  --port N             port of the service (default 0: any free one)
  --control-port N     port of faults, transcript and health (default 0: any free one)
  --tls-cert FILE      certificate (PEM) of a second listener with TLS; goes with --tls-key
  --tls-key FILE       its key (PEM)
  --tls-port N         its port (default 0: any free one)
  --config FILE        JSON: accounts and their quotas, pools, identities, containerImages, containerRuntime,
                       taskLimits, nodeEnvironment, limits, vmCores, sampleSeconds, casing,
                       nodeBootMs, killGraceMs
  --exit-with-parent   stop when standard input closes
  --help               this text

Prints one JSON line on stdout when it is ready. Exit codes: 0 stopped, 2 bad usage or configuration, 1 anything else.
`;

function usage(message: string): never {
  process.stderr.write(`azure-batch-emulator: ${message}\n`);
  process.exit(2);
}

function portOf(text: string | undefined, name: string): number {
  const port = Number(text ?? '0');
  return Number.isInteger(port) && port >= 0 && port < 65_536 ? port : usage(`--${name} is not a port: ${text ?? ''}`);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        data: { type: 'string' },
        port: { type: 'string' },
        'control-port': { type: 'string' },
        config: { type: 'string' },
        'tls-cert': { type: 'string' },
        'tls-key': { type: 'string' },
        'tls-port': { type: 'string' },
        'exit-with-parent': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

function readFile(file: string, name: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    return usage(`--${name} ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function tlsOf(cert: string | undefined, key: string | undefined, port: string | undefined) {
  if (cert === undefined && key === undefined && port === undefined) return {};
  if (cert === undefined || key === undefined) return usage('--tls-cert and --tls-key go together');
  const files = { cert: readFile(cert, 'tls-cert'), key: readFile(key, 'tls-key') };
  try {
    createSecureContext(files);
  } catch (error) {
    return usage(`--tls-cert and --tls-key do not fit: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { tls: { ...files, port: portOf(port, 'tls-port') } };
}

function readConfig(file: string | undefined): object {
  if (file === undefined) return {};
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as object;
  } catch (error) {
    return usage(`--config ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const given = readOptions();
if (given.help) {
  process.stdout.write(help);
  process.exit(0);
}
const options = {
  port: portOf(given.port, 'port'),
  controlPort: portOf(given['control-port'], 'control-port'),
  config: readConfig(given.config),
  nodeEnvironment: { PATH: process.env['PATH'] ?? '', LANG: process.env['LANG'] ?? 'C.UTF-8' },
  ...tlsOf(given['tls-cert'], given['tls-key'], given['tls-port']),
  ...(given.data === undefined ? {} : { dataDirectory: given.data }),
};
try {
  await runEmulator('azure-batch-emulator', () => startBatchEmulator(options), {
    exitWithParent: given['exit-with-parent'],
  });
} catch (error) {
  if (error instanceof ConfigError || error instanceof DataInUseError || error instanceof CgroupError) {
    usage(error.message);
  }
  throw error;
}
