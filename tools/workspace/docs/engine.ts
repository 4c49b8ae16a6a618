import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ComponentError, prettyJson } from './components.ts';

const execute = promisify(execFile);

async function engine(root: string, ...args: readonly string[]): Promise<string> {
  const command = join(root, '.venv/bin/xva-engine');
  if (!existsSync(command)) throw new ComponentError('xva-engine is not installed here: run npm run setup');
  const { stdout } = await execute(command, [...args], { cwd: root, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** What the engine's generator supports, as it says itself. */
export async function productsMarkdown(root: string): Promise<string> {
  return engine(root, 'generate', '--matrix');
}

/** The input API's OpenAPI document, as text of its file. */
export async function inputApiOpenApi(root: string): Promise<string> {
  const data = mkdtempSync(join(tmpdir(), 'xva-openapi-'));
  try {
    return prettyJson(await engine(root, 'input-api', '--openapi', '--data', data));
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}
