import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { controlOf, launchEmulator, type EmulatorProcess } from './emulator-process.ts';

export interface EventHubsEmulatorProcess {
  /** For the client SDKs; the key is the emulator's own and protects nothing. */
  readonly connectionString: string;
  readonly port: number;
  readonly controlUrl: string;
  readonly pid: number;
  /** Arms a fault rule; see the emulator's README. */
  arm(rule: Readonly<Record<string, unknown>>): Promise<void>;
  clearFaults(): Promise<void>;
  transcript(): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Kills it with -9; `restart` brings it back on the same port and log. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface EmulatedHub {
  readonly name: string;
  readonly partitions: number;
  readonly consumerGroups?: readonly string[];
}

const launch = (
  args: readonly string[],
): Promise<EmulatorProcess<{ readonly amqp: string; readonly control: string }>> =>
  launchEmulator('event-hubs-emulator', ['run', ...args]);

/** The Event Hubs emulator as a process of its own, its log in a temporary folder. */
export async function startEventHubsEmulatorProcess(hubs: readonly EmulatedHub[]): Promise<EventHubsEmulatorProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'xva-hubs-'));
  const file = join(folder, 'Config.json');
  const entities = hubs.map((hub) => ({
    Name: hub.name,
    PartitionCount: hub.partitions,
    ConsumerGroups: (hub.consumerGroups ?? []).map((name) => ({ Name: name })),
  }));
  const namespaces = [{ Type: 'EventHub', Name: 'emulatorNs1', Entities: entities }];
  writeFileSync(file, JSON.stringify({ UserConfig: { NamespaceConfig: namespaces, LoggingConfig: { Type: 'File' } } }));
  const args = ['--data', join(folder, 'data'), '--config', file];
  let running = await launch([...args, '--port', '0', '--control-port', '0']);
  const { endpoints } = running;
  const { port } = new URL(endpoints.amqp);
  const send = controlOf(endpoints.control);
  return {
    connectionString: `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;`,
    port: Number(port),
    controlUrl: endpoints.control,
    get pid() {
      return running.pid;
    },
    arm: (rule) => send('POST', 'faults', rule).then(() => undefined),
    clearFaults: () => send('DELETE', 'faults').then(() => undefined),
    transcript: async () => (await send('GET', 'transcript')) as readonly Readonly<Record<string, unknown>>[],
    kill: () => running.kill(),
    restart: async () => {
      await running.kill();
      running = await launch([...args, '--port', port, '--control-port', new URL(endpoints.control).port]);
    },
    stop: async () => {
      await running.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
