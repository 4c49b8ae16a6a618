import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hashOfKey, partitionOfKey } from '../src/hubs/partition-key.ts';
import type { StartedEventHubsEmulator } from '../src/index.ts';
import { containing, hub, matching, Stack } from './support.ts';

const root = join(import.meta.dirname, '../../..');
const python = join(root, '.venv/bin/python');
const packages = join(root, '.venv/clients/azure-eventhub');

/** What the other official client sees, which shares no code with the emulator (that one stands on rhea, as JS does). */
describe('azure-eventhub for Python', () => {
  const stack = new Stack();
  const emulators = new Map<string, StartedEventHubsEmulator>();
  const seen = new Map<string, Promise<Record<string, unknown>>>();

  /** All scenarios run side by side, each with a hub of its own: most of their time is waiting. */
  beforeAll(async () => {
    for (const path of [python, packages]) {
      if (!existsSync(path)) throw new Error(`${path} is not there: run npm test once, which installs it`);
    }
    for (const scenario of ['basics', 'positions', 'keys', 'levels', 'errors', 'asynchronous']) {
      const emulator = await stack.emulator();
      emulators.set(scenario, emulator);
      if (scenario === 'errors') {
        emulator.faults.arm({ point: 'send', match: { partition: '1' }, times: 1, action: { kind: 'reject' } });
      }
      const run = start(scenario, emulator);
      run.catch(() => undefined);
      seen.set(scenario, run);
    }
  });
  afterAll(() => stack.close());

  const witness = (scenario: string): Promise<Record<string, unknown>> => seen.get(scenario)!;

  const start = async (scenario: string, emulator: StartedEventHubsEmulator): Promise<Record<string, unknown>> => {
    const script = join(import.meta.dirname, 'python/witness.py');
    const { stdout } = await promisify(execFile)(python, [script, scenario, emulator.connectionString, hub], {
      env: { PATH: process.env['PATH'] ?? '', PYTHONPATH: packages },
      timeout: 50_000,
    });
    return JSON.parse(stdout) as Record<string, unknown>;
  };

  it('sends batches and single events, reads them with their properties, and tracks the last one', async () => {
    expect(await witness('basics')).toEqual({
      properties: { name: hub, ids: ['0', '1', '2', '3'] },
      last: { sequence: 3, empty: false },
      bodies: ['batch 0', 'batch 1', 'batch 2'],
      binary: [0, 255],
      first: { id: 'm0', sequence: 0, offset: '0', properties: { n: '0', b: containing('x') } },
      tracked: 3,
    });
  });

  it('starts where it asks to, and hears when that is past the end', async () => {
    expect(await witness('positions')).toEqual({
      sequence: ['event 3', 'event 4'],
      'sequence inclusive': ['event 2', 'event 3', 'event 4'],
      offset: ['event 3', 'event 4'],
      'offset inclusive': ['event 2', 'event 3', 'event 4'],
      time: ['event 2', 'event 3', 'event 4'],
      'past the end': [matching(/The supplied sequence number '1000' is invalid. The last .* is '4'/)],
    });
  });

  it('hashes keys as the emulator does, and finds keyed events where the JavaScript client would put them', async () => {
    const { placed, hashes } = (await witness('keys')) as {
      placed: Record<string, string>;
      hashes: Record<string, number>;
    };
    expect(Object.keys(placed)).toHaveLength(52);
    expect(Object.values(hashes).some((hash) => hash < 0)).toBe(true);
    for (const [key, hash] of Object.entries(hashes)) {
      expect([key, hashOfKey(key)]).toEqual([key, hash]);
      expect([key, placed[`plain ${key}`]]).toEqual([key, String(partitionOfKey(key, 4))]);
      // Python's modulo of a negative hash is another one than that of JavaScript and .NET: its buffered producer, which
      // chooses the partition itself, disagrees there with every other client. That is its doing, not the hub's.
      expect([key, placed[`buffered ${key}`]]).toEqual([key, String(((hash % 4) + 4) % 4)]);
    }
  });

  it('loses its link to a higher owner level, and gets none without a level', async () => {
    expect(await witness('levels')).toEqual({
      first: matching(/New receiver .* with higher epoch of '2'.*amqp:link:stolen/s),
      third: matching(/is not allowed/),
    });
  });

  it('names what is wrong, a busy hub too', async () => {
    expect(await witness('errors')).toEqual({
      oversize: matching(/^(EventDataSendError|ValueError).*exceed/s),
      busy: matching(/^EventDataSendError.*com.microsoft:server-busy/s),
      'then not': 'no error',
      'no such hub': matching(/Known event hubs: xva-runs|ConnectionLostError|ConnectError/),
      'wrong key': matching(/^AuthenticationError/),
    });
    expect(emulators.get('errors')!.faults.list()).toMatchObject([{ fired: 1 }]);
  });

  it('reads three thousand events on one link, asynchronously and in order', async () => {
    expect(await witness('asynchronous')).toEqual({ count: 3000, 'in order': true });
  });
});
