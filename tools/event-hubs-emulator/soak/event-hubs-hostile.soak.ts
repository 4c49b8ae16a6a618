import { readFileSync, existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { seededRandom } from '@xva/emulator-kit';
import { campaign } from '../test/hostile/campaign.ts';
import { recordClients } from '../test/hostile/recording.ts';
import { hub, letLongTimersGo, receive, spawnEmulator, Stack } from '../test/support.ts';

/** `--seed N [--count 30000]`: spoilt clients; every connection ends, by name where the emulator ends it, memory is flat. */
const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, count: { type: 'string', default: '30000' } },
});
letLongTimersGo();
const stack = new Stack();
const emulator = await spawnEmulator(stack, ['--data', stack.directory(), '--port', '0', '--control-port', '0']);
const statm = `/proc/${emulator.child.pid ?? 0}/statm`;
const residentMb = (): number =>
  existsSync(statm) ? Math.round((Number(readFileSync(statm, 'utf8').split(' ')[1]) * 4096) / 1024 / 1024) : NaN;
const recordings = await recordClients(emulator.connectionString, hub);
const ends: Record<string, number> = {};
const bad: string[] = [];
let warmMb = NaN;
const count = Number(values.count);
await campaign(emulator.port, recordings, count, seededRandom(Number(values.seed)), ({ mutation, end }, done) => {
  ends[end] = (ends[end] ?? 0) + 1;
  if (end === 'hung' || end === 'unnamed') bad.push(`${end}: ${mutation}`);
  if (done === Math.floor(count / 4)) warmMb = residentMb();
  if (done % 5000 === 0) console.log(`${done} of ${count}`, JSON.stringify(ends), `${residentMb()} MB`);
});
const grownMb = residentMb() - warmMb;
if (grownMb > 64) bad.push(`memory grew by ${grownMb} MB`);
await stack.producer(emulator.connectionString).sendBatch([{ body: 'still here' }], { partitionId: '3' });
const [event] = await receive(stack.consumer(emulator.connectionString), 1, undefined, '3');
if (event === undefined) bad.push('nothing is received any more');
await stack.close();
console.log(
  `seed ${values.seed}: ${count} spoilt clients, ${JSON.stringify(ends)}, memory +${grownMb} MB`,
  bad.slice(0, 10),
);
process.exit(bad.length === 0 ? 0 : 1);
