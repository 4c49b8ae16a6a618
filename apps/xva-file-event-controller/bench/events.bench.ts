/**
 * `npm run bench -- events [--quick] [--events N] [--jobs N]`. (1) What the controller does with an event besides its calls
 * (decode, window, dedupe, checkpoint; ports in memory) against the SDK's receive loop alone, on the same hub, in turns.
 * (2) The whole path, as a process, against a script that does the same uploads and posts at equal concurrency, in turns;
 * then the same one event at a time, for the latency that is added. Emulator and Azurite are processes of their own.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { canonicalJson, deriveRunId, deriveEventId, formatRequestKey, type RunEvent } from '@xva/contracts';
import { EventPublisher } from '@xva/azure-event-hubs';
import { startEventHubsEmulatorProcess, type SampleEvent } from '@xva/testkit';
import { Lab } from '../test/lab.ts';
import { until } from '../test/processes.ts';
import { aim, heapMegabytes, median, print, quantile, spread } from './figures.ts';
import { flowSide, rawSide, type Received } from './receive-loop.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, events: { type: 'string' }, jobs: { type: 'string' } },
});
const { quick } = values;
const eventCount = Number(values.events ?? (quick ? 10_000 : 100_000));
const jobCount = Number(values.jobs ?? (quick ? 40 : 200));
const latencyMs = 20;

/** Thin run events: 4 partitions, one book each, all different. */
function* runEvents(count: number): Generator<{ id: string; body: Buffer; partitionKey: string }> {
  for (let revision = 1; revision <= count; revision += 1) {
    const requestKey = { book: `BOOK-${revision % 16}`, asOf: '2026-09-30', cut: 'EOD', scenario: 'BASE', revision };
    const id = deriveEventId('bench', requestKey, String(revision));
    const event: RunEvent = {
      specversion: '1.0',
      id,
      source: '/xva-db-integrator/bench',
      type: 'com.xvalab.run.requested.v1',
      subject: formatRequestKey(requestKey),
      time: '2026-09-30T18:00:00Z',
      datacontenttype: 'application/json',
      traceparent: `00-${id}-${id.slice(0, 16)}-01`,
      data: {
        schemaVersion: '1.0',
        runId: deriveRunId(id, requestKey),
        requestKey,
        requestBlob: `requests/${id}.json`,
        requestSha256: id + id,
        requestBytes: 100_000,
        tradeCount: 60,
        nettingSetCount: 6,
      },
    };
    yield { id, body: Buffer.from(canonicalJson(event)), partitionKey: requestKey.book };
  }
}

async function receiving(): Promise<void> {
  print(
    `(1) ${eventCount} events, 4 partitions: decode, window, dedupe and checkpoint in memory against the receive loop`,
  );
  const emulator = await startEventHubsEmulatorProcess([{ name: 'bench', partitions: 4 }]);
  try {
    const publisher = new EventPublisher({ connectionString: emulator.connectionString, hub: 'bench' });
    let batch: { id: string; body: Buffer; partitionKey: string }[] = [];
    for (const event of runEvents(eventCount)) {
      batch.push(event);
      if (batch.length < 2_000) continue;
      await publisher.publish(batch);
      batch = [];
    }
    if (batch.length > 0) await publisher.publish(batch);
    await publisher.close();
    const ratios: number[] = [];
    const rates = { raw: [] as number[], flow: [] as number[] };
    let growth = 0;
    const rate = ({ events, ms }: Received): number => (events / ms) * 1_000;
    for (let round = 0; round < (quick ? 1 : 3); round += 1) {
      const sides = round % 2 === 0 ? ([rawSide, flowSide] as const) : ([flowSide, rawSide] as const);
      const seen = new Map<typeof rawSide, Received>();
      for (const side of sides) {
        seen.set(side, await side(emulator.connectionString, 'bench', eventCount, heapMegabytes));
      }
      const [raw, flow] = [seen.get(rawSide)!, seen.get(flowSide)!];
      if (flow.distinct !== eventCount || raw.events !== eventCount) throw new Error('events were lost');
      rates.raw.push(rate(raw));
      rates.flow.push(rate(flow));
      ratios.push(rate(flow) / rate(raw));
      growth = flow.heap[1] - flow.heap[0];
      // 16 bytes of hash a run: the set of ids that stands for the job API grows, nothing else may.
      print(
        `round ${round + 1}: receive loop ${rate(raw).toFixed(0)}/s, with the flow ${rate(flow).toFixed(0)}/s, ` +
          `${flow.checkpoints} checkpoints, heap ${flow.heap[0].toFixed(1)} MiB at a tenth, ${flow.heap[1].toFixed(1)} MiB at the end`,
      );
    }
    print(`receive loop ${spread(rates.raw, 0)} events/s, with the flow ${spread(rates.flow, 0)} events/s`);
    aim('rate of the receive loop that is kept', median(ratios), 0.8);
    print(
      `heap growth over ${eventCount} events: ${growth.toFixed(1)} MiB, of which the ids that were seen are about ${((eventCount * 90) / 2 ** 20).toFixed(1)} MiB`,
    );
  } finally {
    await emulator.stop();
  }
}

const run = promisify(execFile);

async function bare(
  lab: Lab,
  samples: readonly SampleEvent[],
  parallel: number,
): Promise<{ ms: number; took: number[] }> {
  const script = fileURLToPath(new URL('bare-script.ts', import.meta.url));
  const settings = {
    connectionString: lab.storage,
    inputApiUrl: lab.inputApi.server.url,
    controllerUrl: lab.jobApi.server.url,
    parallel,
    events: samples.map(({ event, requestName }) => ({
      id: event.id,
      request: requestName,
      key: event.data.requestKey,
    })),
  };
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
  const { stdout } = await run(process.execPath, [...flags, script, JSON.stringify(settings)], { maxBuffer: 2 ** 26 });
  if (!samples.every((sample) => lab.hasRun(sample))) throw new Error('the script lost jobs');
  return JSON.parse(stdout) as { ms: number; took: number[] };
}

/** Every part of a package is its own but the simulation's, which all share. */
async function freeze(lab: Lab, count: number): Promise<SampleEvent[]> {
  const samples: SampleEvent[] = [];
  for (let index = 0; index < count; index += 1) {
    const text = `market of ${samples.length} ${performance.now()}\n${'x'.repeat(20_000)}`;
    samples.push(await lab.freeze({ texts: { 'Input/market.txt': text } }));
  }
  return samples;
}

async function wholePath(): Promise<void> {
  const parallel = 16;
  print();
  print(`(2) ${jobCount} events a side: input API of ${latencyMs} ms, Azurite, job API; ${parallel} at once`);
  const lab = await new Lab().start(['bench'], 1);
  try {
    lab.inputApi.latencyMs = latencyMs;
    await lab.account.container('objects').ensure();
    const app = await lab.run('bench', { eventsAtOnce: parallel, packagesAtOnce: parallel });
    const [warm] = await freeze(lab, 1);
    await lab.send('bench', [warm!]);
    await until(() => lab.hasRun(warm!), 'it works');
    await bare(lab, await freeze(lab, 3), 1);
    const ratios: number[] = [];
    const rates = { bare: [] as number[], ours: [] as number[] };
    for (let round = 0; round < (quick ? 1 : 3); round += 1) {
      const forBare = await freeze(lab, jobCount);
      const forOurs = await freeze(lab, jobCount);
      const oursSide = async (): Promise<number> => {
        const started = performance.now();
        await lab.send('bench', forOurs);
        await until(() => forOurs.every((sample) => lab.hasRun(sample)), 'all are jobs', 300_000);
        return performance.now() - started;
      };
      // Azurite grows slower with what it holds: the sides begin in turns.
      const bareFirst = round % 2 === 0 ? (await bare(lab, forBare, parallel)).ms : undefined;
      const ours = await oursSide();
      const bareMs = bareFirst ?? (await bare(lab, forBare, parallel)).ms;
      rates.bare.push((jobCount / bareMs) * 1_000);
      rates.ours.push((jobCount / ours) * 1_000);
      ratios.push(bareMs / ours);
      print(
        `round ${round + 1}: script ${((jobCount / bareMs) * 1_000).toFixed(1)} jobs/s, controller ${((jobCount / ours) * 1_000).toFixed(1)} jobs/s`,
      );
    }
    print(`script ${spread(rates.bare, 1)} jobs/s, controller ${spread(rates.ours, 1)} jobs/s`);
    aim('rate of the bare script that is reached', median(ratios), 0.8);
    await latency(lab);
    app.kill('SIGTERM');
    await app.exited;
  } finally {
    await lab.stop();
  }
}

/** One event at a time: from its sending to its job request, against the script's time for the same work. */
async function latency(lab: Lab): Promise<void> {
  const count = quick ? 10 : 100;
  const { took } = await bare(lab, await freeze(lab, count), 1);
  const ours: number[] = [];
  for (const sample of await freeze(lab, count)) {
    const started = performance.now();
    await lab.send('bench', [sample]);
    await until(() => lab.hasRun(sample), 'the job request');
    ours.push(performance.now() - started);
  }
  const added = (part: number): string => (quantile(ours, part) - quantile(took, part)).toFixed(0);
  print(
    `one at a time: event sent to job request p50 ${quantile(ours, 0.5).toFixed(0)} ms, p99 ${quantile(ours, 0.99).toFixed(0)} ms; ` +
      `the script without the hub p50 ${quantile(took, 0.5).toFixed(0)} ms, p99 ${quantile(took, 0.99).toFixed(0)} ms; ` +
      `added (the hub's way included) p50 ${added(0.5)} ms, p99 ${added(0.99)} ms`,
  );
}

await receiving();
await wholePath();
