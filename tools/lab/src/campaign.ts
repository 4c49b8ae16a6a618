import type { RunView } from '@xva/contracts';
import { untilAllUp } from './all-up.ts';
import { historyFaults, strayFaults } from './history.ts';
import type { RequestRow } from './load-book.ts';
import { formatDuration } from './report.ts';
import { seededRandom } from './seeded.ts';
import type { Session } from './session.ts';
import { commitRequest, identityOf, untilOver } from './undeterred.ts';

/**
 * What may die at any moment: the components, the input API and the emulators. Storage may not: Azurite saves its tables and
 * its lists of blobs every 5 seconds, so a kill -9 loses acknowledged writes (seen here: a run's record), which the service
 * that it stands for never does.
 */
export const killableNames = [
  'xva-db-integrator',
  'xva-file-event-controller',
  'xva-batch-controller-api',
  'xva-batch-gc',
  'input-api',
  'azure-batch-emulator',
  'event-hubs-emulator',
  'sql-server-simulator',
] as const;
export type KillableName = (typeof killableNames)[number];

export interface PlannedKill {
  readonly name: KillableName;
  /** When, as a share of what an undisturbed run takes from its row's commit. */
  readonly share: number;
}

/** Kills of each run, one to three; every process has its turn before one comes again. */
export function planCampaign(kills: number, random: () => number): readonly (readonly PlannedKill[])[] {
  const runs: PlannedKill[][] = [];
  let names: KillableName[] = [];
  const draw = (): KillableName => {
    if (names.length === 0) names = [...killableNames];
    return names.splice(Math.floor(random() * names.length), 1)[0] ?? killableNames[0];
  };
  for (let left = kills; left > 0;) {
    const count = Math.min(left, 1 + Math.floor(random() * 3));
    runs.push(Array.from({ length: count }, () => ({ name: draw(), share: random() })));
    left -= count;
  }
  return runs;
}

export interface DisturbedRun {
  readonly request: RequestRow;
  readonly requestId: string;
  readonly run: RunView;
  readonly tookMs: number;
}

/** Commits a request, kills what the plan says while it is on its way, and follows it to its end. */
export async function runUnderKills(
  session: Session,
  request: RequestRow,
  kills: readonly PlannedKill[],
  options: {
    readonly spanMs: number;
    readonly timeoutMs: number;
    readonly print: (line: string) => void;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<DisturbedRun> {
  const requestId = await commitRequest(session, request);
  const started = Date.now();
  const pending = new Set(kills);
  const kill = (planned: PlannedKill): void => {
    if (options.signal?.aborted === true || !pending.delete(planned)) return;
    session.children.kill(planned.name);
    options.print(`  ${formatDuration(Date.now() - started).padStart(8)}  killed ${planned.name}`);
  };
  const timers = kills.map((planned) => setTimeout(kill, planned.share * options.spanMs, planned));
  try {
    const run = await untilOver(session, request, options.timeoutMs);
    const tookMs = Date.now() - started;
    // A run that was quicker than the undisturbed one: what it outlived dies now and is back during the next.
    for (const planned of [...pending]) kill(planned);
    return { request, requestId, run, tookMs };
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

export interface CampaignOptions {
  readonly kills: number;
  readonly seed: number;
  readonly print: (line: string) => void;
  readonly signal?: AbortSignal;
  /** Longest time for one run; default 3 minutes. */
  readonly timeoutMs?: number;
}

export interface CampaignOutcome {
  readonly ok: boolean;
  readonly runs: number;
  readonly kills: number;
  /** What is wrong with the history; empty when every row became exactly one run with the same numbers. */
  readonly faults: readonly string[];
}

/**
 * Kills processes at seeded random moments during small runs, one after another, and then reads the history: every row one
 * run, every run published once, all numbers those of the undisturbed first run. The book is `small`, in a lab of its own.
 */
export async function runCampaign(session: Session, options: CampaignOptions): Promise<CampaignOutcome> {
  const { kills, seed, print, signal, timeoutMs = 180_000 } = options;
  const rows = await session.loadSample('small');
  const request = rows.requests[0];
  if (request === undefined) throw new Error('the sample book has no request');
  print(`campaign of ${kills} kills, seed ${seed}`);
  const undisturbed = { timeoutMs, print, signal, spanMs: 0 };
  // The first run warms everything up; the second says how long a run takes and what comes out.
  await runUnderKills(session, request, [], undisturbed);
  const reference = await runUnderKills(session, { ...request, revision: 2 }, [], undisturbed);
  const expected = await session.api.results(reference.run.runId);
  const spanMs = reference.tookMs;
  print(`an undisturbed run takes ${formatDuration(spanMs)}`);
  const plan = planCampaign(kills, seededRandom(seed));
  const asked: RequestRow[] = [request, { ...request, revision: 2 }];
  const faults: string[] = [];
  for (const planned of plan) {
    signal?.throwIfAborted();
    const next = { ...request, revision: asked.length + 1 };
    asked.push(next);
    print(`${identityOf(next).runId} (revision ${next.revision}): ${planned.map(planText).join(', ')}`);
    try {
      const { run, tookMs } = await runUnderKills(session, next, planned, { ...undisturbed, spanMs });
      print(`  ${formatDuration(tookMs).padStart(8)}  ${run.state} ${run.outcome ?? ''}, attempt ${run.attempt}`);
    } catch (error) {
      faults.push(error instanceof Error ? error.message : String(error));
      print(`  FAIL ${faults.at(-1) ?? ''}`);
    }
  }
  await untilAllUp(session.layout);
  faults.push(...(await historyFaults(session, asked, expected)), ...(await strayFaults(session, asked)));
  for (const fault of faults) print(`FAIL ${fault}`);
  const verdict = faults.length === 0 ? 'every row became one run with the same numbers' : `${faults.length} faults`;
  print(`${kills} kills over ${plan.length} runs, seed ${seed}: ${verdict}`);
  return { ok: faults.length === 0, runs: asked.length, kills, faults };
}

function planText({ name, share }: PlannedKill): string {
  return `${name} at ${Math.round(share * 100)} %`;
}
