import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonClient } from '@xva/testkit';

export interface Conformance {
  readonly exitCode: number | null;
  /** What the tool printed, its summary at the end. */
  readonly report: string;
}

/**
 * What is right about this API and not in its schema: a package that is not in Storage, an address that a webhook may
 * not have, and a pool that does not scale by formula are valid requests that are refused with 422; every problem that a
 * valid request can meet is documented. Fuzzed runs ask for a thousand things of which nothing is there.
 */
const settings = `
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "406", "409", "410", "412", "416", "422", "429", "431", "503"]

[warnings]
display = []
`;

/** Runs Schemathesis with all its checks against a controller that listens. */
export async function schemathesis(
  url: string,
  key: string,
  options: { readonly examples: number; readonly seed: number; readonly phases?: string },
): Promise<Conformance> {
  const { python, env } = pythonClient('schemathesis');
  const folder = mkdtempSync(join(tmpdir(), 'xva-schemathesis-'));
  const config = join(folder, 'schemathesis.toml');
  writeFileSync(config, settings);
  const args = [
    ...['-m', 'schemathesis.cli', '--config-file', config, 'run', `${url}/openapi.json`],
    ...['--checks', 'all', '--header', `x-api-key: ${key}`, '--seed', String(options.seed)],
    ...['--max-examples', String(options.examples), '--phases', options.phases ?? 'examples,coverage,fuzzing,stateful'],
    ...['--continue-on-failure', '--suppress-health-check', 'all', '--request-timeout', '30', '--no-color'],
  ];
  try {
    const child = spawn(python, args, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '', ...env },
    });
    let report = '';
    child.stdout.on('data', (chunk: Buffer) => (report += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (report += chunk.toString()));
    const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { exitCode, report };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
