import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BlobAccount } from '@xva/azure-storage';
import { downloadPackage } from '../control-run.ts';
import { repositoryRoot } from '../layout.ts';

const execute = promisify(execFile);
const runner = join(repositoryRoot, '.venv/bin/xva-engine');

/** A shard as the controller planned it. */
export interface BenchShard {
  readonly taskId: string;
  readonly nettingSets: readonly string[];
}

/** One shard's own folder with the whole package and its task file, as a node has it after its downloads. */
export interface LaidShard extends BenchShard {
  readonly folder: string;
}

/** Lays the package out once per shard, so that the bare run downloads nothing. */
export async function layShards(
  work: BlobAccount,
  packageId: string,
  shards: readonly BenchShard[],
  folder: string,
): Promise<readonly LaidShard[]> {
  const laid: LaidShard[] = [];
  for (const shard of shards) {
    const own = join(folder, shard.taskId);
    await mkdir(own, { recursive: true });
    await downloadPackage(work, packageId, own);
    const sets = shard.nettingSets.join(',');
    const args = ['--manifest', 'manifest.json', '--netting-sets', sets, '--task-id', shard.taskId];
    await execute(runner, ['plan-task', ...args, '--out', 'task.json'], { cwd: own });
    laid.push({ ...shard, folder: own });
  }
  return laid;
}

export interface BareRun {
  /** From the first process's start to the last one's end. */
  readonly ms: number;
  /** Each shard's own time, start of its process to its end. */
  readonly shardMs: Readonly<Record<string, number>>;
}

/**
 * The same shards without anything around: `xva-engine run` as a process per shard, at most `slots` at a time, in the
 * plan's order. No merge.
 *
 * @throws Error when a shard does not end with exit code 0.
 */
export async function runBare(shards: readonly LaidShard[], slots: number): Promise<BareRun> {
  const queue = [...shards];
  const shardMs: Record<string, number> = {};
  await Promise.all(shards.map(({ folder }) => rm(join(folder, 'out'), { recursive: true, force: true })));
  const started = performance.now();
  const lane = async (): Promise<void> => {
    for (let shard = queue.shift(); shard !== undefined; shard = queue.shift()) {
      const begun = performance.now();
      await execute(runner, ['run', '--task', 'task.json', '--root', '.', '--out', 'out'], {
        cwd: shard.folder,
        maxBuffer: 64 * 1024 * 1024,
      });
      shardMs[shard.taskId] = performance.now() - begun;
    }
  };
  await Promise.all(Array.from({ length: Math.min(slots, shards.length) }, lane));
  return { ms: performance.now() - started, shardMs };
}
