/**
 * `event-kills.soak.ts --seed N [--kills N]`: two controllers under load, Storage behind a proxy that cuts, stalls and
 * fails now and then; kill -9 of a controller, the hub emulator or the input API at seeded random moments, and orderly
 * restarts of Azurite. At the end every event must be exactly one job or one dead letter. Ends with 1 when one is not.
 */
import { parseArgs } from 'node:util';
import { killCampaign } from '../test/kill-campaign.ts';

const { values } = parseArgs({ options: { seed: { type: 'string' }, kills: { type: 'string' } } });
const print = (line: string): void => void process.stdout.write(`${line}\n`);
const { summary, faults } = await killCampaign(Number(values.seed ?? 1), Number(values.kills ?? 200), print);
print(summary);
for (const fault of faults.slice(0, 20)) print(`BROKEN ${fault}`);
process.exitCode = faults.length === 0 ? 0 : 1;
