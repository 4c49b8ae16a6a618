import { killableNames, planCampaign, runUnderKills, type DisturbedRun } from '../src/campaign.ts';
import { eventually } from '../src/eventually.ts';
import { historyFaults, jobsOf, strayFaults } from '../src/history.ts';
import type { RequestRow } from '../src/load-book.ts';
import type { Results } from '../src/numbers.ts';
import { deliverAgain } from '../src/request.ts';
import { seededRandom } from '../src/seeded.ts';
import { bookLike, loadDraft } from './support/books.ts';
import { TestLab } from './support/test-lab.ts';

const runTimeoutMs = 90_000;
const seed = Number(process.env['XVA_LAB_SEED'] ?? Date.now() % 1_000_000);

describe(`kill -9 at a random moment of a run (XVA_LAB_SEED=${seed})`, () => {
  const random = seededRandom(seed);
  const shares = killableNames.map((name) => ({ name, share: random() }));
  const disturbed: DisturbedRun[] = [];
  let lab: TestLab;
  let request: RequestRow;
  let expected: Results;
  let spanMs: number;
  let revision = 0;

  const disturb = async (kills: Parameters<typeof runUnderKills>[2]): Promise<DisturbedRun> => {
    revision += 1;
    const found = await runUnderKills(lab.session, { ...request, revision }, kills, {
      spanMs,
      timeoutMs: runTimeoutMs,
      print: () => undefined,
    });
    disturbed.push(found);
    return found;
  };

  beforeAll(async () => {
    process.stderr.write(`seed ${seed}\n`);
    // Several shards, so that a kill may fall between them.
    lab = await TestLab.open('restarts', { targetShardSeconds: 0.66 });
    await lab.evidence(async () => {
      const rows = await lab.session.loadSample('small');
      request = await loadDraft(lab.session, bookLike(rows, 'KILLED'));
      spanMs = 0;
      await disturb([]);
      const reference = await disturb([]);
      expect(reference.run).toMatchObject({ state: 'done', outcome: 'complete', attempt: 1 });
      expect(reference.run.shards).toBeGreaterThan(1);
      spanMs = reference.tookMs;
      expected = await lab.session.api.results(reference.run.runId);
    });
  }, 180_000);
  afterAll(async () => {
    await lab.close();
  }, 60_000);

  it.each(shares)(
    '$name dies: one run, complete, with the same numbers',
    (kill) =>
      lab.evidence(async () => {
        const deaths = lab.events.length;
        const found = await disturb([kill]);
        await eventually(
          `${kill.name} died`,
          async () => diedSince(lab, deaths).includes(kill.name) || undefined,
          5_000,
        );
        await lab.untilAllUp();
        expect(await historyFaults(lab.session, [found.request], expected)).toEqual([]);
      }),
    120_000,
  );

  it('all of them die at once: one run, complete, with the same numbers', async () => {
    await lab.evidence(async () => {
      const share = random();
      const found = await disturb(killableNames.map((name) => ({ name, share })));
      await lab.untilAllUp();
      expect(await historyFaults(lab.session, [found.request], expected)).toEqual([]);
    });
  }, 180_000);

  it('every row delivered again changes nothing', async () => {
    await lab.evidence(async () => {
      await lab.untilAllUp();
      const before = await lab.session.api.listRuns(request.book);
      const jobs = await Promise.all(before.map((run) => jobsOf(lab.session, run.runId)));
      const done = await lab.session.eventsDone();
      for (const { requestId } of disturbed) await deliverAgain(lab.session, requestId);
      await lab.session.untilEventsDone(done + disturbed.length);
      expect(await lab.session.api.listRuns(request.book)).toEqual(before);
      expect(await Promise.all(before.map((run) => jobsOf(lab.session, run.runId)))).toEqual(jobs);
      const requests = disturbed.map((one) => one.request);
      expect(await historyFaults(lab.session, requests, expected)).toEqual([]);
      expect(await strayFaults(lab.session, requests)).toEqual([]);
    });
  }, 120_000);
});

describe('the plan of a campaign', () => {
  it('follows from its seed, holds as many kills as asked for, and leaves nobody out', () => {
    const plan = planCampaign(40, seededRandom(7));
    expect(planCampaign(40, seededRandom(7))).toEqual(plan);
    expect(planCampaign(40, seededRandom(8))).not.toEqual(plan);
    const kills = plan.flat();
    expect(kills).toHaveLength(40);
    for (const name of killableNames) expect(kills.filter((kill) => kill.name === name)).toHaveLength(5);
    expect(kills.every(({ share }) => share >= 0 && share < 1)).toBe(true);
    expect(plan.every((run) => run.length >= 1 && run.length <= 3)).toBe(true);
  });
});

function diedSince(lab: TestLab, start: number): readonly string[] {
  return lab.events.slice(start).flatMap(({ name, event }) => (event === 'died' ? [name] : []));
}
