import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { BlobAccount } from '@xva/azure-storage';
import {
  manifestSchema,
  parseContractText,
  runContainerOf,
  runPaths,
  workContainers,
  type Manifest,
  type Published,
} from '@xva/contracts';

const execute = promisify(execFile);

async function mustGet(account: BlobAccount, container: string, blob: string): Promise<Buffer> {
  const found = await account.container(container).get(blob);
  if (found === undefined) throw new Error(`${container}/${blob} is not in the work account`);
  return found.bytes;
}

/** Lays a stored package out as files, as Batch does for a task. */
export async function downloadPackage(work: BlobAccount, packageId: string, folder: string): Promise<Manifest> {
  const bytes = await mustGet(work, workContainers.objects, packageId);
  const manifest = parseContractText(manifestSchema, bytes.toString('utf8'), `manifest ${packageId}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'manifest.json'), bytes);
  for (const part of manifest.parts) {
    const file = join(folder, part.path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, await mustGet(work, workContainers.objects, part.sha256));
  }
  return manifest;
}

async function bundleIn(folder: string): Promise<string> {
  const name = (await readdir(folder)).find((file) => /^bundle-.*\.tar$/.test(file));
  if (name === undefined) throw new Error(`no bundle in ${folder}`);
  return name;
}

export interface ControlOutcome {
  readonly equal: boolean;
  /** What the comparison printed. */
  readonly text: string;
  readonly engineSeconds: number;
}

/**
 * The same package computed in one piece, outside Batch, then merged and compared with what was published: every cell of
 * every table to the last bit.
 */
export async function compareWithUnsharded(options: {
  readonly work: BlobAccount;
  readonly runId: string;
  readonly published: Published;
  readonly folder: string;
}): Promise<ControlOutcome> {
  const { work, runId, published, folder } = options;
  await downloadPackage(work, published.packageId, folder);
  const engine = (...args: string[]): Promise<unknown> =>
    execute('xva-engine', args, { cwd: folder, maxBuffer: 64 * 1024 * 1024 });
  const started = performance.now();
  await engine('plan-task', '--manifest', 'manifest.json', '--netting-sets', 'all', '--out', 'shard.json');
  await engine('run', '--task', 'shard.json', '--root', '.', '--out', 'out-shard');
  const engineSeconds = (performance.now() - started) / 1000;
  const shard = join('out-shard', await bundleIn(join(folder, 'out-shard')));
  await engine('plan-task', '--manifest', 'manifest.json', '--merge', shard, '--root', '.', '--out', 'merge.json');
  await engine('merge', '--task', 'merge.json', '--root', '.', '--out', 'out-merge');
  const blob = `${runPaths.taskOut(published.attempt, 'merge')}/bundle-${published.bundleId}.tar`;
  writeFileSync(join(folder, 'published.tar'), await mustGet(work, runContainerOf(runId), blob));
  const control = join('out-merge', await bundleIn(join(folder, 'out-merge')));
  try {
    const { stdout } = await execute('xva-engine', ['compare', '--left', control, '--right', 'published.tar'], {
      cwd: folder,
    });
    return { equal: true, text: stdout.trim(), engineSeconds };
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    return { equal: false, text: `${stdout ?? ''}${stderr ?? ''}`.trim() || String(error), engineSeconds };
  }
}
