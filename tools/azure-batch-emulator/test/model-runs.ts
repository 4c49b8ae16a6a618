import fc from 'fast-check';
import { startBatchEmulator } from '../src/index.ts';
import { commands, Model } from './model.ts';

export interface ModelResult {
  readonly runs: number;
  /** What the emulator reported about itself: nothing, if all is well. */
  readonly reports: readonly string[];
  /** Undefined when every promise held; otherwise the shortest commands that break one. */
  readonly failure: string | undefined;
  readonly transitions: ReadonlySet<string>;
}

/** Runs random commands from a seed; a failure is shrunk and replays with the same seed. */
export async function modelRuns(seed: number, runs: number): Promise<ModelResult> {
  const reports: string[] = [];
  const emulator = await startBatchEmulator({
    config: { nodeBootMs: 2, sampleSeconds: 0.05, limits: { shortestScheduleSeconds: 0.05 } },
    report: (message, error) => reports.push(`${message}: ${String(error)}`),
  });
  let number = 0;
  const transitions = new Set<string>();
  try {
    const result = await fc.check(
      fc.asyncProperty(fc.array(commands, { minLength: 4, maxLength: 24 }), async (steps) => {
        const model = new Model(emulator.endpoints, `r${(number += 1)}`);
        await model.setUp();
        for (const step of steps) await model.apply(step);
        await model.tearDown();
        for (const seen of model.transitions) transitions.add(seen);
        if (model.broken.length > 0) throw new Error(model.broken.join('\n'));
      }),
      { seed, numRuns: runs, interruptAfterTimeLimit: 120_000, markInterruptAsFailure: false },
    );
    const failure = result.failed
      ? `seed ${seed}, path ${result.counterexamplePath ?? ''}: ${JSON.stringify(result.counterexample)}\n${String(result.errorInstance)}`
      : undefined;
    return { runs: result.numRuns, reports, failure, transitions };
  } finally {
    await emulator.stop();
  }
}
