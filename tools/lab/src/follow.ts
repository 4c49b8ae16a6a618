import { finalStates, type RunProgress, type RunView } from '@xva/contracts';
import type { ControllerClient } from './api.ts';
import { formatDuration } from './report.ts';

export interface FollowOptions {
  readonly runId: string;
  readonly api: ControllerClient;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
  readonly pollMs: number;
  readonly timeoutMs: number;
  readonly onProgress?: (progress: RunProgress) => void;
}

/** What a task's line says; the same text twice is printed once. */
function taskLine(task: RunProgress['tasks'][number]): string {
  const sets = task.nettingSets.length === 0 ? '' : ` [${task.nettingSets.join(' ')}]`;
  const share = task.state === 'running' ? ` ${task.phase ?? ''} ${Math.floor(task.percent / 10) * 10} %` : '';
  const exit = task.exitCode === null || task.exitCode === 0 ? '' : ` exit code ${task.exitCode}`;
  return `${task.taskId}${sets}: ${task.state}${share}${exit}`;
}

/**
 * Follows a run to its end and prints a line whenever something moved: the run's state, then each shard with the
 * engine's own progress. Survives a controller that is away for a while.
 */
export async function followRun(options: FollowOptions): Promise<RunView> {
  const { runId, api, print, signal } = options;
  const started = Date.now();
  const said = new Set<string>();
  const say = (line: string): void => {
    if (said.has(line)) return;
    said.add(line);
    print(`  ${formatDuration(Date.now() - started).padStart(8)}  ${line}`);
  };
  for (;;) {
    signal.throwIfAborted();
    const run = await api.findRun(runId);
    if (run !== undefined) {
      say(`run ${run.state}${run.attempt > 1 ? ` (attempt ${run.attempt})` : ''}`);
      for (const reason of run.reasons) say(`${reason.code} ${reason.subject}: ${reason.message}`);
      if (run.state === 'running') {
        const progress = await api.progress(runId);
        if (progress !== undefined) options.onProgress?.(progress);
        for (const task of progress?.tasks ?? []) say(taskLine(task));
      }
      if (finalStates.has(run.state)) return run;
    }
    if (Date.now() - started > options.timeoutMs) {
      throw new Error(`run ${runId} is still ${run?.state ?? 'unknown'} after ${formatDuration(options.timeoutMs)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, options.pollMs));
  }
}
