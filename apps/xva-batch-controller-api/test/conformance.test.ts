import { keys, Rig, type Controller } from './rig.ts';
import { schemathesis } from './schemathesis.ts';
import { over, seedRun } from './seeds.ts';

let rig: Rig;
let controller: Controller;

beforeAll(async () => {
  rig = await Rig.start();
  const { connectionString } = rig.azurite;
  // The run of the document's examples is there, so that its rows answer with what they are for.
  await seedRun(
    connectionString,
    'xva-20260930-rates-abcdefghijklmn',
    { state: 'done', outcome: 'complete', ...over },
    true,
  );
  controller = await rig.controller({
    XVA_RATE_LIMIT_PER_MINUTE: '1000000',
    XVA_ADDRESS_LIMIT_PER_MINUTE: '1000000',
    XVA_WEBHOOK_SIGNING_KEY: 'k'.repeat(32),
  });
});
afterAll(() => rig.stop());

describe('the OpenAPI document', () => {
  it('is what the API does: Schemathesis finds nothing with all its checks', async () => {
    const seed = 20_260_930;
    const { exitCode, report } = await schemathesis(controller.url, keys.admin, {
      examples: 1,
      seed,
      phases: 'examples,coverage,fuzzing',
    });
    if (exitCode !== 0) throw new Error(report);
    expect(report).toMatch(/No issues found|Test cases:\s+\d+ generated, \d+ passed/);
  }, 300_000);
});
