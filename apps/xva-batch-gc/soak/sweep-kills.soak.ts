import { parseArgs } from 'node:util';
import { mark, sweep } from '@xva/flow-sweep';
import { runContainerOf } from '@xva/contracts';
import { loadPolicy } from '../src/policy-file.ts';
import { GcRig, type Scene } from '../test/world.ts';

/**
 * Sweeps killed with -9 at random points while new runs keep coming, on Azurite and the Batch emulator: what is needed
 * stays, the next sweep finishes. `--seed N` (replays the points), `--count KILLS` (default 200).
 */
const { values } = parseArgs({ options: { seed: { type: 'string' }, count: { type: 'string' } } });
const seed = Number(values.seed ?? 1);
const kills = Number(values.count ?? 200);

/** Mulberry32: small, and the same everywhere. */
function randomOf(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const rule = { retainSeconds: 0 };
const policy = {
  schemaVersion: '1.0',
  name: 'kills',
  minimumAgeSeconds: 0,
  settleSeconds: 0,
  ceiling: { items: 1_000_000, percent: 100 },
  quarantine: { mode: 'copy', keepSeconds: 1 },
  rules: {
    runs: { retainSeconds: 86_400 },
    orphanedRuns: rule,
    leakedJobs: rule,
    objects: rule,
    requests: rule,
    deadLetters: rule,
  },
};

const random = randomOf(seed);
const started = Date.now();
const broken: string[] = [];
let [killed, finished, slowest] = [0, 0, 0];
const rig = await GcRig.start(policy);
const gc = await rig.compose();
try {
  for (let round = 0; killed < kills && broken.length === 0; round += 1) {
    const salt = `s${seed}-${round}`;
    const scene = await rig.seed(salt, 1 + Math.floor(random() * 12));
    const report = await mark(
      gc.deps,
      loadPolicy(rig.env['XVA_POLICY_FILE'] ?? ''),
      `sweep-${String(round).padStart(6, '0')}-${Date.now()}`,
    );
    const point = `*:${1 + Math.floor(random() * 9)}`;
    const load = { on: true };
    const later: Scene[] = [];
    // New runs come while it sweeps; what they bring is theirs.
    const loading = (async () => {
      for (let more = 0; load.on && more < 3; more += 1) later.push(await rig.seed(`${salt}-m${more}`, 1));
    })();
    const ended = await rig.cli(['sweep', report.reportId, '--yes'], { XVA_CRASH_AT: point });
    load.on = false;
    await loading;
    if (ended.killed) killed += 1;
    else finished += 1;
    const scenes = [scene, ...later];
    await rig.breakLocks(scenes.flatMap(({ expired, orphan }) => [expired, orphan].map(runContainerOf)));
    const recovery = Date.now();
    const signal = new AbortController().signal;
    await sweep(gc.deps, loadPolicy(rig.env['XVA_POLICY_FILE'] ?? ''), report, { signal });
    for (let again = 0; again < 2; again += 1) {
      const next = await mark(
        gc.deps,
        loadPolicy(rig.env['XVA_POLICY_FILE'] ?? ''),
        `sweep-${String(round).padStart(6, '0')}-n${again}-${Date.now()}`,
      );
      await sweep(gc.deps, loadPolicy(rig.env['XVA_POLICY_FILE'] ?? ''), next, { signal });
    }
    slowest = Math.max(slowest, Date.now() - recovery);
    for (const one of scenes)
      broken.push(...(await rig.faultsOf(one)).map((fault) => `round ${round}, ${point}: ${fault}`));
    // Runs that are done with: the account stays small, so that Azurite stays quick.
    for (const { live } of scenes) {
      const found = await rig.runs.get(live);
      const over = new Date(Date.now() - 100 * 86_400_000).toISOString();
      if (found !== undefined)
        await rig.runs.replace(
          {
            ...found.record,
            state: 'cancelled',
            outcome: 'cancelled',
            finishedAt: over,
            version: found.record.version + 1,
          },
          found.etag,
        );
    }
  }
} finally {
  gc.close();
  await rig.stop();
}
console.log(
  `sweep kills: seed ${seed}, ${killed} kills, ${finished} sweeps that ended before their point, slowest recovery ${slowest} ms, ${Math.round((Date.now() - started) / 1000)} s`,
);
for (const fault of broken) console.error(fault);
process.exitCode = broken.length === 0 ? 0 : 1;
