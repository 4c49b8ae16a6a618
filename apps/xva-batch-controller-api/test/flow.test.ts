import type { Published, ResultSummary, RunView } from '@xva/contracts';
import { samplePackage } from '@xva/testkit';
import { call, Rig, untilState, type Controller } from './rig.ts';

let rig: Rig;
let controller: Controller;

beforeAll(async () => {
  rig = await Rig.start();
  controller = await rig.controller({ XVA_TARGET_SHARD_SECONDS: '0.7' });
});
afterAll(() => rig.stop());

describe('a run', () => {
  it('goes from request to published result', async () => {
    const sample = samplePackage({
      name: 'happy',
      nettingSets: 4,
      samples: 1000,
      gridDates: 10,
      costNanos: [8e6, 8e6, 8e6, 8e6],
    });
    await rig.upload(sample);
    const posted = await call<RunView>(controller.url, 'POST', '/v1/runs', { body: sample.request });
    expect(posted.status).toBe(201);
    const done = await untilState(controller.url, posted.body.runId, 'done', 'failed');
    expect(done).toMatchObject({ state: 'done', outcome: 'complete', shards: 4 });
    const results = await call<{ published: Published; summary: ResultSummary }>(
      controller.url,
      'GET',
      `/v1/runs/${done.runId}/results`,
    );
    expect(results.body.summary.nettingSets.map((set) => set.id)).toEqual(['NS-001', 'NS-002', 'NS-003', 'NS-004']);
    console.log(Date.parse(done.finishedAt!) - Date.parse(done.createdAt));
  });
});
