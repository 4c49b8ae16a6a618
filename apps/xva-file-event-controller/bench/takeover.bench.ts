/**
 * `npm run bench -- takeover [--quick]`: kill -9 of one of two controllers; from the kill to the first job request of an
 * event in each of its partitions, with the lab's settings (1 s, 4 s) and, beside them, with what suits Azure (10 s,
 * 30 s), where a process that pauses keeps its partitions and ownership costs a tenth of the writes.
 */
import { parseArgs } from 'node:util';
import type { SampleEvent } from '@xva/testkit';
import { Lab } from '../test/lab.ts';
import { until } from '../test/processes.ts';
import { aim, median, print, spread } from './figures.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });

async function takeover(balanceIntervalMs: number, ownershipExpiryMs: number): Promise<number> {
  const lab = await new Lab().start(['takeover'], 4);
  try {
    const timing = { balanceIntervalMs, ownershipExpiryMs };
    const first = await lab.run('takeover', timing);
    const probe = async (count: number): Promise<SampleEvent[]> => {
      const samples: SampleEvent[] = [];
      // Sixteen books fall on all four partitions.
      for (let index = 0; index < count; index += 1) samples.push(await lab.freeze({ book: `BOOK-${index}` }));
      await lab.send('takeover', samples);
      return samples;
    };
    const warm = await probe(16);
    await until(() => warm.every((sample) => lab.hasRun(sample)), 'the first controller has all partitions', 120_000);
    await lab.run('takeover', timing);
    const shared = await probe(16);
    await until(() => shared.every((sample) => lab.hasRun(sample)), 'both work', 120_000);
    const killed = performance.now();
    first.kill('SIGKILL');
    await first.exited;
    const after = await probe(16);
    await until(() => after.every((sample) => lab.hasRun(sample)), 'the second one has all partitions', 120_000);
    return performance.now() - killed;
  } finally {
    await lab.stop();
  }
}

const rounds = values.quick ? 1 : 3;
const lab: number[] = [];
for (let round = 0; round < rounds; round += 1) lab.push((await takeover(1_000, 4_000)) / 1_000);
print(`lab's settings (loop 1 s, expiry 4 s): ${spread(lab)} s from kill -9 to work on every partition`);
if (!values.quick) {
  const azure = (await takeover(10_000, 30_000)) / 1_000;
  print(
    `Azure's settings (loop 10 s, expiry 30 s): ${azure.toFixed(1)} s; the client's defaults would take 56 to 66 s`,
  );
}
aim('seconds left of 5 when the median takeover is over', 5 - median(lab), 0);
