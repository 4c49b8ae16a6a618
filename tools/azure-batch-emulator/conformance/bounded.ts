import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import type { Started } from '../test/helpers.ts';

const main = join(import.meta.dirname, '../src/main.ts');

/**
 * Starts the emulator with little heap (64 MB, young generation 4 MB): V8 otherwise takes hundreds of MB before it looks
 * for garbage, and growth would say nothing. What is really held must fit, or the process ends.
 */
export async function startBounded(): Promise<Started & { readonly said: readonly string[] }> {
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning', '--max-old-space-size=64', '--max-semi-space-size=4']; // prettier-ignore
  const child = spawn(process.execPath, [...flags, main, '--exit-with-parent'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => {
    if (said.length < 1_000) said.push(chunk.toString());
  });
  for await (const line of createInterface({ input: child.stdout })) {
    return { endpoints: (JSON.parse(line) as Started).endpoints, child, said };
  }
  throw new Error(`the emulator did not start: ${said.join('')}`);
}
