import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** An emulator as a child process, with what its ready line said. */
export interface EmulatorProcess<E> {
  readonly endpoints: E;
  readonly pid: number;
  /** Sends SIGKILL and waits for the end. */
  readonly kill: () => Promise<void>;
}

/** Starts `tools/<name>` from its source and waits for its ready line. It ends when this process does. */
export async function launchEmulator<E>(name: string, args: readonly string[]): Promise<EmulatorProcess<E>> {
  const main = fileURLToPath(new URL(`../../../tools/${name}/src/main.ts`, import.meta.url));
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, main, ...args, '--exit-with-parent'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Jest's own flags are not for it.
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  child.stdin.on('error', () => undefined);
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', () => reject(new Error(`${name} did not start: ${said.join('')}`)));
  });
  const { endpoints } = JSON.parse(line) as { endpoints: E };
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

/** Calls an emulator's control port: `send('POST', 'faults', rule)`. */
export function controlOf(controlUrl: string): (method: string, path: string, body?: unknown) => Promise<unknown> {
  return async (method, path, body) => {
    const response = await fetch(`${controlUrl}/control/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`control ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  };
}
