import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The emulator's default account: a key for one machine that protects nothing. */
export const batchAccount = {
  name: 'xvalab',
  keyBase64: 'eHZhLWxhYi1lbXVsYXRvci1iYXRjaC1rZXktbm90LWEtc2VjcmV0LWF0LWFsbC4uLi4uLi4uLi4uLi4uLi4uLg==',
} as const;

export interface BatchEmulatorProcess {
  readonly url: string;
  readonly controlUrl: string;
  readonly pid: number;
  /** Arms a fault rule; see the emulator's README. */
  arm(rule: Readonly<Record<string, unknown>>): Promise<void>;
  clearFaults(): Promise<void>;
  verb(name: string, body: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Kills it with -9 and starts it again on the same ports and state. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

const main = fileURLToPath(new URL('../../../tools/azure-batch-emulator/src/main.ts', import.meta.url));

interface Started {
  readonly endpoints: { readonly batch: string; readonly control: string };
  readonly pid: number;
  readonly kill: () => Promise<void>;
}

async function launch(args: readonly string[]): Promise<Started> {
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, main, '--exit-with-parent', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined);
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', () => reject(new Error(`the Batch emulator did not start: ${said.join('')}`)));
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

/** The Batch emulator as a process of its own, its state in a temporary folder. `config` as its README says. */
export async function startBatchEmulatorProcess(
  config: Readonly<Record<string, unknown>>,
): Promise<BatchEmulatorProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'xva-batch-'));
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify(config));
  const args = ['--data', join(folder, 'data'), '--config', file];
  let running = await launch(args);
  const { endpoints } = running;
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
    url: endpoints.batch,
    controlUrl: endpoints.control,
    get pid() {
      return running.pid;
    },
    arm: async (rule) => {
      await send('POST', 'faults', rule);
    },
    clearFaults: async () => {
      await send('DELETE', 'faults');
    },
    verb: (name, body) => send('POST', name, body),
    crash: async () => {
      await running.kill();
      const ports = ['--port', new URL(endpoints.batch).port, '--control-port', new URL(endpoints.control).port];
      running = await launch([...args, ...ports]);
    },
    stop: async () => {
      await running.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
