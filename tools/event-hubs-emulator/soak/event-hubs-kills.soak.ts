import { parseArgs } from 'node:util';
import { seededRandom } from '@xva/emulator-kit';
import { killCampaign } from '../test/kills/campaign.ts';
import { letLongTimersGo, Stack } from '../test/support.ts';

/** `--seed N [--count 200]`: kills an emulator under load that often, each time over the same data directory. */
const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, count: { type: 'string', default: '200' } },
});
letLongTimersGo();
const random = seededRandom(Number(values.seed));
const perDirectory = 20;
let broken = 0;
for (let done = 0; done < Number(values.count); done += perDirectory) {
  const stack = new Stack();
  const report = await killCampaign(stack, Math.min(perDirectory, Number(values.count) - done), random);
  await stack.close();
  console.log(`${done + perDirectory} kills`, JSON.stringify({ ...report, broken: report.broken.slice(0, 10) }));
  broken += report.broken.length;
}
console.log(`seed ${values.seed}: ${values.count} kills, ${broken} broken promise(s)`);
process.exit(broken === 0 ? 0 : 1);
