import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { controlOf, launchEmulator, type EmulatorProcess } from './emulator-process.ts';

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

const launch = (
  args: readonly string[],
): Promise<EmulatorProcess<{ readonly tds: string; readonly control: string }>> =>
  launchEmulator('sql-server-simulator', args);

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
  const send = controlOf(control);
  return {
    host: '127.0.0.1',
    port,
    controlUrl: control,
    arm: (rule) => send('POST', 'faults', rule).then(() => undefined),
    clearFaults: () => send('DELETE', 'faults').then(() => undefined),
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
