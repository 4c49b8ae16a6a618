import { createHash } from 'node:crypto';
import type { EventHubProducerClient } from '@azure/event-hubs';
import { receive, spawnEmulator, type EmulatorProcess, type Stack } from '../support.ts';

/** Where the emulator is killed: at a point of its way to the disk, or from outside at some moment. */
const points: Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>> = {
  'before the write': { match: { operation: 'write' }, action: { kind: 'crash', bytes: 0 } },
  'half a record written': { match: { operation: 'write' }, action: { kind: 'crash' } },
  'written, not answered': { match: { operation: 'sync' }, action: { kind: 'crash' } },
  'a segment is to begin': { match: { operation: 'create' }, action: { kind: 'crash' } },
  'at any moment': undefined,
};

interface Sent {
  /** Ids of a batch, which goes whole or not at all. */
  readonly ids: readonly string[];
  acknowledged: boolean;
}

/** What was found after all kills. */
export interface KillReport {
  readonly acknowledged: number;
  readonly stored: number;
  readonly kills: Readonly<Record<string, number>>;
  /** Broken promises, in words; none when all is well. */
  readonly broken: readonly string[];
}

const partition = '0';
const quick = { retryOptions: { maxRetries: 0, timeoutInMs: 1500 } };
const senders = 3;

/** An event's body: an id and as much as makes its bytes checkable. */
function bodyOf(id: string, size: number): { id: string; filling: string; digest: string } {
  const filling = 'x'.repeat(size);
  return { id, filling, digest: createHash('sha1').update(`${id}${filling}`).digest('hex') };
}

/** Kills an emulator under load `kills` times over one data directory and reads back what is there. */
export async function killCampaign(stack: Stack, kills: number, random: () => number): Promise<KillReport> {
  const args = ['--data', stack.directory(), '--port', '0', '--control-port', '0', '--segment-bytes', '30000'];
  const below = (limit: number): number => Math.floor(random() * limit);
  const history: Sent[][] = Array.from({ length: senders }, () => []);
  const broken: string[] = [];
  const counts: Record<string, number> = {};
  let batchNumber = 0;

  const send = async (
    producer: EventHubProducerClient,
    mine: Sent[],
    name: string,
    over: AbortSignal,
  ): Promise<void> => {
    while (!over.aborted) {
      const ids = Array.from({ length: 1 + below(4) }, (_, index) => `${name}-${batchNumber}-${index}`);
      batchNumber += 1;
      const sent: Sent = { ids, acknowledged: false };
      mine.push(sent);
      try {
        await producer.sendBatch(
          ids.map((id) => ({ body: bodyOf(id, below(600)) })),
          // The client does not notice that the emulator is dead: it would wait for its whole time.
          { partitionId: partition, abortSignal: over },
        );
        sent.acknowledged = true;
      } catch {
        // Unknown: it may or may not be there. The next one goes on.
      }
    }
  };

  for (let kill = 0; kill < kills; kill += 1) {
    const emulator = await spawnEmulator(stack, args);
    const names = Object.keys(points);
    const name = names[kill % names.length]!;
    const over = new AbortController();
    const dead = emulator.exited.then(() => over.abort());
    await arm(emulator, name, below);
    const producers = history.map(() => stack.producer(emulator.connectionString, quick));
    const sending = producers.map((producer, index) => send(producer, history[index]!, `s${index}`, over.signal));
    await dead;
    counts[name] = (counts[name] ?? 0) + 1;
    await Promise.all(sending);
  }

  const emulator = await spawnEmulator(stack, args);
  const { isEmpty, lastEnqueuedSequenceNumber } = await stack
    .producer(emulator.connectionString)
    .getPartitionProperties(partition);
  const events = isEmpty
    ? []
    : await receive(stack.consumer(emulator.connectionString), lastEnqueuedSequenceNumber + 1, undefined, partition);
  const found: string[] = [];
  for (const [index, event] of events.entries()) {
    const body = event.body as ReturnType<typeof bodyOf>;
    found.push(body.id);
    if (event.sequenceNumber !== index) broken.push(`sequence number ${event.sequenceNumber} where ${index} is due`);
    if (bodyOf(body.id, body.filling.length).digest !== body.digest) broken.push(`${body.id} has other bytes`);
  }
  const places = new Map(found.map((id, index) => [id, index]));
  if (places.size !== found.length) broken.push(`${found.length - places.size} event(s) are there twice`);
  let acknowledged = 0;
  for (const mine of history) {
    let last = -1;
    for (const { ids, acknowledged: isAcknowledged } of mine) {
      const at = ids.map((id) => places.get(id));
      acknowledged += isAcknowledged ? ids.length : 0;
      const [first] = at;
      if (first === undefined) {
        if (isAcknowledged) broken.push(`${ids.join()} was acknowledged and is gone`);
        if (at.some((place) => place !== undefined)) broken.push(`${ids.join()} is there in part`);
        continue;
      }
      if (at.some((place, index) => place !== first + index)) broken.push(`${ids.join()} is not whole and in order`);
      if (first <= last) broken.push(`${ids.join()} comes before what was sent before it`);
      last = first;
    }
  }
  const known = new Set(history.flatMap((mine) => mine.flatMap(({ ids }) => ids)));
  for (const id of found) if (!known.has(id)) broken.push(`${id} was never sent`);
  emulator.child.kill('SIGKILL');
  await emulator.exited;
  return { acknowledged, stored: found.length, kills: counts, broken };
}

async function arm(emulator: EmulatorProcess, name: string, below: (limit: number) => number): Promise<void> {
  const rule = points[name];
  if (rule === undefined) {
    const timer = setTimeout(() => emulator.child.kill('SIGKILL'), 150 + below(400));
    void emulator.exited.then(() => clearTimeout(timer));
    return;
  }
  // A segment of 30 kB begins about every 30 records.
  const skip = rule['match'] !== undefined && name === 'a segment is to begin' ? below(2) : 1 + below(60);
  const response = await fetch(`${emulator.controlUrl}/control/faults`, {
    method: 'POST',
    body: JSON.stringify({ point: 'disk', skip, ...rule }),
  });
  if (!response.ok) throw new Error(`the fault rule was refused: ${await response.text()}`);
}
