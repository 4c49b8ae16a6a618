import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { controlOf, launchEmulator, type EmulatorProcess } from './emulator-process.ts';

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

const launch = (
  args: readonly string[],
): Promise<EmulatorProcess<{ readonly batch: string; readonly control: string }>> =>
  launchEmulator('azure-batch-emulator', args);

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
  const send = controlOf(endpoints.control);
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
