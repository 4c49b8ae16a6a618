import { parseArgs } from 'node:util';
import { fuzz } from '../test/fuzzer.ts';
import { keys, Rig } from '../test/rig.ts';
import { schemathesis } from '../test/schemathesis.ts';
import { over, seedRun } from '../test/seeds.ts';

/**
 * `--seed N --count N --examples N`: fuzzed requests of which none may be answered with a 5xx, then Schemathesis with all
 * checks and phases. Ends with 1 on the first broken promise.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '10000' },
    examples: { type: 'string', default: '250' },
  },
});
const seed = Number(values.seed);
const rig = await Rig.start();
try {
  const { connectionString } = rig.azurite;
  await seedRun(
    connectionString,
    'xva-20260930-rates-abcdefghijklmn',
    { state: 'done', outcome: 'complete', ...over },
    true,
  );
  const controller = await rig.controller({
    XVA_RATE_LIMIT_PER_MINUTE: '100000000',
    XVA_ADDRESS_LIMIT_PER_MINUTE: '100000000',
    XVA_WEBHOOK_SIGNING_KEY: 'k'.repeat(32),
  });
  const document = (await (await fetch(`${controller.url}/openapi.json`)).json()) as Parameters<typeof fuzz>[2];
  const started = performance.now();
  const statuses = await fuzz(controller.url, keys.admin, document, { seed, count: Number(values.count) });
  const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`);
  const seconds = (performance.now() - started) / 1000;
  console.log(`fuzz: ${values.count} requests in ${seconds.toFixed(1)} s, seed ${seed}, no 5xx: ${counts.join(', ')}`);
  const { exitCode, report } = await schemathesis(controller.url, keys.admin, {
    seed,
    examples: Number(values.examples),
  });
  console.log(report.split('\n').slice(-25).join('\n'));
  if (exitCode !== 0) {
    console.log(report);
    process.exitCode = 1;
  }
} catch (error) {
  console.log(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await rig.stop();
}
