/**
 * `npm run bench -- hub-takeover [--quick]`: two members share four partitions, one is killed with -9 while events flow; how
 * long until the other has received from every partition again, with the lab's settings and with those for Azure, in
 * turns. Every event is compared: none may be missing, and how many come twice is told.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startAzurite, startEventHubsEmulatorProcess, type Azurite, type EventHubsEmulatorProcess } from '@xva/testkit';
import { EventPublisher, type EventConsumerOptions } from '../src/index.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const settings = [
  { name: 'lab', loopIntervalMs: 1_000, ownershipExpiryMs: 5_000, runs: values.quick ? 1 : 5, aimMs: 5_000 },
  // Fewer writes to Storage, and a pause of a process or of Storage is not taken for its death.
  { name: 'Azure', loopIntervalMs: 10_000, ownershipExpiryMs: 30_000, runs: values.quick ? 0 : 2, aimMs: undefined },
];
const partitions = 4;
const print = (line = ''): void => void process.stdout.write(`${line}\n`);

interface Member {
  readonly child: ChildProcess;
  readonly owned: Set<string>;
  /** Id of each event with the time of its first arrival here, and how often it came. */
  readonly events: Map<string, { readonly partition: string; readonly atMs: number; times: number }>;
}

function startMember(options: EventConsumerOptions): Member {
  const script = fileURLToPath(new URL('./takeover-member.ts', import.meta.url));
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, script, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.on('error', () => undefined);
  const member: Member = { child, owned: new Set(), events: new Map() };
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [what, partition = '', id = ''] = line.split(' ');
    if (what === 'own') member.owned.add(partition);
    const seen = member.events.get(id);
    if (what === 'event' && seen !== undefined) seen.times += 1;
    else if (what === 'event') member.events.set(id, { partition, atMs: performance.now(), times: 1 });
  });
  return member;
}

async function until(condition: () => boolean, what: string, timeoutMs: number): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`never happened within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

interface Run {
  readonly takeoverMs: number;
  readonly lost: number;
  readonly twice: number;
}

async function measure(
  hub: EventHubsEmulatorProcess,
  azurite: Azurite,
  name: string,
  { loopIntervalMs, ownershipExpiryMs }: (typeof settings)[number],
): Promise<Run> {
  const options: EventConsumerOptions = {
    connectionString: hub.connectionString,
    hub: name,
    consumerGroup: 'group',
    checkpoints: { connectionString: azurite.connectionString, container: name },
    loopIntervalMs,
    ownershipExpiryMs,
    tryTimeoutMs: 3_000,
  };
  const publisher = new EventPublisher({ connectionString: hub.connectionString, hub: name });
  const sent: string[] = [];
  const stop = new AbortController();
  const members = [startMember(options)];
  const flowing = (async () => {
    while (!stop.signal.aborted) {
      const ids = Array.from({ length: 20 }, (_, index) => `${sent.length + index}`);
      // Keys enough for every partition.
      await publisher.publish(ids.map((id) => ({ id, body: id, partitionKey: `key-${Number(id) % 16}` })));
      sent.push(...ids);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  try {
    const patienceMs = 6 * ownershipExpiryMs + 30_000;
    await until(() => members[0]!.owned.size === partitions, 'the first member owns all', patienceMs);
    members.push(startMember(options));
    await until(() => members[1]!.owned.size >= partitions / 2, 'the second has its share', patienceMs);
    const [killed, survivor] = members as [Member, Member];
    // Once the second works, the first one's are those that it still renews: all that the second has not opened.
    await until(
      () => new Set([...survivor.events.values()].map(({ partition }) => partition)).size >= 2,
      'flow',
      30_000,
    );
    const before = new Set(survivor.owned);
    const lost = Array.from({ length: partitions }, (_, id) => String(id)).filter((id) => !before.has(id));
    killed.child.kill('SIGKILL');
    const killedAt = performance.now();
    const arrived = (): Map<string, number> => {
      const first = new Map<string, number>();
      for (const { partition, atMs } of survivor.events.values()) {
        if (atMs > killedAt && !first.has(partition)) first.set(partition, atMs);
      }
      return first;
    };
    await until(() => lost.every((id) => arrived().has(id)), 'all partitions are read again', patienceMs);
    const takeoverMs = Math.max(...lost.map((id) => arrived().get(id)! - killedAt));
    stop.abort();
    await flowing;
    const everywhere = (id: string): number =>
      members.reduce((sum, { events }) => sum + (events.get(id)?.times ?? 0), 0);
    await until(() => sent.every((id) => everywhere(id) > 0), 'every event has come', 30_000);
    return { takeoverMs, lost: 0, twice: sent.filter((id) => everywhere(id) > 1).length };
  } finally {
    stop.abort();
    for (const { child } of members) child.kill('SIGKILL');
    await flowing.catch(() => undefined);
    await publisher.close();
  }
}

const names = settings.flatMap(({ name, runs }) =>
  Array.from({ length: runs }, (_, index) => `${name.toLowerCase()}-${index}`),
);
const [hub, azurite] = await Promise.all([
  startEventHubsEmulatorProcess(names.map((name) => ({ name, partitions, consumerGroups: ['group'] }))),
  startAzurite(),
]);
let failed = 0;
try {
  const results = new Map<string, Run[]>();
  for (let round = 0; round < Math.max(...settings.map(({ runs }) => runs)); round += 1) {
    for (const setting of settings.filter(({ runs }) => round < runs)) {
      const run = await measure(hub, azurite, `${setting.name.toLowerCase()}-${round}`, setting);
      results.set(setting.name, [...(results.get(setting.name) ?? []), run]);
      print(`${setting.name} run ${round + 1}: ${(run.takeoverMs / 1000).toFixed(2)} s, ${run.twice} event(s) twice`);
    }
  }
  print();
  print('| settings | loop / expiry | kill -9 to all partitions read again | spread | events lost | twice |');
  print('| --- | --- | --- | --- | --- | --- |');
  for (const { name, loopIntervalMs, ownershipExpiryMs, aimMs } of settings) {
    const runs = results.get(name) ?? [];
    const times = runs.map(({ takeoverMs }) => takeoverMs / 1000).sort((a, b) => a - b);
    if (times.length === 0) continue;
    const middle = times[Math.floor(times.length / 2)]!;
    const spread = `${times[0]!.toFixed(2)} to ${times.at(-1)!.toFixed(2)} s`;
    const twice = runs.map((run) => run.twice).join(', ');
    print(
      `| ${name} | ${loopIntervalMs / 1000} s / ${ownershipExpiryMs / 1000} s | ${middle.toFixed(2)} s | ${spread} | 0 | ${twice} |`,
    );
    if (aimMs !== undefined) {
      const isMet = middle * 1000 <= aimMs;
      if (!isMet) failed += 1;
      print(`aim <= ${aimMs / 1000} s: ${isMet ? 'met' : 'MISSED'}`);
    }
  }
} finally {
  await hub.stop();
  await azurite.stop();
}
process.exit(failed === 0 ? 0 : 1);
