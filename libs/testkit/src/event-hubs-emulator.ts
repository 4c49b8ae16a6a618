import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

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

const main = fileURLToPath(new URL('../../../tools/event-hubs-emulator/src/main.ts', import.meta.url));

interface Started {
  readonly endpoints: { readonly amqp: string; readonly control: string };
  readonly pid: number;
  readonly kill: () => Promise<void>;
}

async function launch(args: readonly string[]): Promise<Started> {
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, main, 'run', '--exit-with-parent', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined);
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', () => reject(new Error(`the Event Hubs emulator did not start: ${said.join('')}`)));
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
  const send = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${endpoints.control}/control/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`control ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  };
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
