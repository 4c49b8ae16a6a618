import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The simulator's login on this machine: it protects nothing. */
export const sqlSimulatorLogin = { user: 'sa', password: 'Xva-lab-only-1', database: 'xva' } as const;

export interface SqlSimulatorProcess {
  readonly host: string;
  readonly port: number;
  readonly controlUrl: string;
  readonly pid: number;
  /** Arms a fault rule; see the simulator's README. */
  arm(rule: Readonly<Record<string, unknown>>): Promise<void>;
  clearFaults(): Promise<void>;
  /** Kills it with -9 and starts it again on the same ports and data. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

const main = fileURLToPath(new URL('../../../tools/sql-server-simulator/src/main.ts', import.meta.url));

interface Started {
  readonly endpoints: { readonly tds: string; readonly control: string };
  readonly pid: number;
  readonly kill: () => Promise<void>;
}

async function launch(args: readonly string[]): Promise<Started> {
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, main, '--exit-with-parent', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Jest's own flags are not for it.
    env: { NODE_OPTIONS: '' },
  });
  child.stdin.on('error', () => undefined);
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', () => reject(new Error(`the SQL Server simulator did not start: ${said.join('')}`)));
  });
  const { endpoints } = JSON.parse(line) as { endpoints: Started['endpoints'] };
  return {
    endpoints,
    pid: child.pid ?? 0,
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const over = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await over;
    },
  };
}

/** The last number of an address is its port, whatever the scheme. */
function portOf(address: string): number {
  return Number(/:(\d+)\/?$/.exec(address)?.[1]);
}

/** The SQL Server simulator as a process of its own, its data in a temporary folder. */
export async function startSqlSimulatorProcess(extraArgs: readonly string[] = []): Promise<SqlSimulatorProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'xva-sql-'));
  const { user, password, database } = sqlSimulatorLogin;
  const login = ['--login', user, '--password', password, '--database', database];
  const args = ['--data', join(folder, 'data'), ...login, ...extraArgs];
  let running = await launch([...args, '--port', '0', '--control-port', '0']);
  const port = portOf(running.endpoints.tds);
  const controlPort = portOf(running.endpoints.control);
  const { control } = running.endpoints;
  const faults = async (method: string, rule?: unknown): Promise<void> => {
    const response = await fetch(`${control}/control/faults`, {
      method,
      ...(rule === undefined ? {} : { body: JSON.stringify(rule), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`control faults: ${response.status} ${text}`);
  };
  return {
    host: '127.0.0.1',
    port,
    controlUrl: control,
    arm: (rule) => faults('POST', rule),
    clearFaults: () => faults('DELETE'),
    get pid() {
      return running.pid;
    },
    crash: async () => {
      await running.kill();
      running = await launch([...args, '--port', String(port), '--control-port', String(controlPort)]);
    },
    stop: async () => {
      await running.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
