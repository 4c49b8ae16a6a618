import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runEmulator } from '@xva/emulator-kit';
import { DataInUseError, startSqlServerSimulator } from './index.ts';

const help = `sql-server-simulator: a T-SQL subset over TDS 7.4, for tests and demonstrations (not Microsoft SQL Server)

  --data DIR            keep the databases in DIR (otherwise in memory: gone at the end)
  --port N              port of the service (default 0: any free one)
  --control-port N      port of faults, transcript and health (default 0: any free one)
  --database NAME       a database; may be repeated, the first is the default (default: xva)
  --login NAME          the one SQL login (default: sa)
  --password TEXT       its password (default: Simulator-1; or SQL_SIMULATOR_PASSWORD)
  --tls-key FILE        PEM private key, with --tls-cert: clients may encrypt
  --tls-cert FILE       PEM certificate
  --exit-with-parent    stop when standard input closes
  --help                this text

Prints one JSON line on stdout when it is ready. Exit codes: 0 stopped, 2 bad usage, 1 anything else.
`;

function usage(message: string): never {
  process.stderr.write(`sql-server-simulator: ${message}\n`);
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
        database: { type: 'string', multiple: true },
        login: { type: 'string' },
        password: { type: 'string' },
        'tls-key': { type: 'string' },
        'tls-cert': { type: 'string' },
        'exit-with-parent': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

function readFile(file: string, name: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return usage(`--${name} ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const given = readOptions();
if (given.help) {
  process.stdout.write(help);
  process.exit(0);
}
const { 'tls-key': key, 'tls-cert': cert } = given;
if ((key === undefined) !== (cert === undefined)) usage('--tls-key and --tls-cert go together');
const password = given.password ?? process.env['SQL_SIMULATOR_PASSWORD'];
const options = {
  port: portOf(given.port, 'port'),
  controlPort: portOf(given['control-port'], 'control-port'),
  ...(given.data === undefined ? {} : { dataDirectory: given.data }),
  ...(given.database === undefined ? {} : { databases: given.database }),
  ...(given.login === undefined ? {} : { login: given.login }),
  ...(password === undefined ? {} : { password }),
  ...(key === undefined || cert === undefined
    ? {}
    : { certificate: { key: readFile(key, 'tls-key'), cert: readFile(cert, 'tls-cert') } }),
};
try {
  await runEmulator('sql-server-simulator', () => startSqlServerSimulator(options), {
    exitWithParent: given['exit-with-parent'],
  });
} catch (error) {
  if (error instanceof DataInUseError || error instanceof RangeError) usage(error.message);
  throw error;
}
