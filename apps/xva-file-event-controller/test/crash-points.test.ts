import { sha256Hex } from '@xva/contracts';
import { crashPoints, type CrashPoint } from '@xva/flow-package';
import { letLongTimersGo, trialBook, type SampleEvent } from '@xva/testkit';
import { Lab, startInputApiChild } from './lab.ts';
import { runVerb, until } from './processes.ts';

letLongTimersGo();

const book = trialBook(
  'Event controller: kill -9 at named points',
  'docs/trials/event-controller-crash-points.md',
  'apps/xva-file-event-controller/test/crash-points.test.ts',
);
const lanes = ['lane-0', 'lane-1', 'lane-2'];
const lab = new Lab();

beforeAll(() => lab.start([...lanes, 'hub-kills', 'api-kills', 'owners']), 60_000);
afterAll(() => lab.stop());

const large = '20260930 FX/RATE/EUR/USD 1.1\n'.repeat(320_000);
const burying: readonly CrashPoint[] = ['beforeBury', 'afterBury'];

async function settled(): Promise<void> {
  expect(await lab.faultsOfStorage()).toEqual([]);
}

/** Dies at the point, comes again as `once`, and tells what the event became. */
async function dieAndDrain(point: CrashPoint, hub: string): Promise<string> {
  if (burying.includes(point)) return dieBurying(point, hub);
  const sample = await lab.freeze(point === 'midUpload' ? { texts: { 'Input/market.txt': `#${hub}\n${large}` } } : {});
  const app = await lab.run(hub, { crashAt: point });
  await lab.send(hub, [sample]);
  if (point === 'atRelease') {
    await until(() => lab.hasRun(sample), 'the job request');
    app.kill('SIGTERM');
  }
  expect(await app.exited).toMatchObject({ signal: 'SIGKILL' });
  const before = lab.hasRun(sample);
  const drained = await runVerb(['once'], lab.settings(hub));
  expect({ code: drained.code, err: drained.code === 0 ? '' : drained.err }).toEqual({ code: 0, err: '' });
  expect(lab.hasRun(sample)).toBe(true);
  const asked = point === 'atRelease' ? '' : `, the controller was asked ${lab.posts(sample) === 1 ? 'once' : 'twice'}`;
  return `one job (${before ? 'before' : 'after'} the restart)${asked}; no dead letter`;
}

async function dieBurying(point: CrashPoint, hub: string): Promise<string> {
  const poison = Buffer.from(`no event: ${point}`);
  const app = await lab.run(hub, { crashAt: point });
  await lab.send(hub, [poison]);
  expect(await app.exited).toMatchObject({ signal: 'SIGKILL' });
  expect((await runVerb(['once'], lab.settings(hub))).code).toBe(0);
  const found = (await runVerb(['dead-letters', 'list'], lab.settings(hub))).out
    .split('\n')
    .filter((line) => line.includes(sha256Hex(poison).slice(0, 32)))
    .map((line) => JSON.parse(line) as { id: string; attempts: number });
  expect(found).toHaveLength(1);
  await runVerb(['dead-letters', 'discard', found[0]!.id, '--yes'], lab.settings(hub));
  return `one dead letter, with ${found[0]!.attempts} attempts; no job`;
}

describe('the controller is killed', () => {
  const observed = new Map<CrashPoint, string | Error>();

  beforeAll(async () => {
    const left = [...crashPoints];
    await Promise.all(
      lanes.map(async (hub) => {
        for (let point = left.shift(); point !== undefined; point = left.shift()) {
          observed.set(point, await dieAndDrain(point, hub).catch((error: unknown) => error as Error));
        }
      }),
    );
  }, 240_000);

  it.each(crashPoints)('at %s', (point) => {
    const seen = observed.get(point);
    if (typeof seen !== 'string') throw seen ?? new Error('not tried');
    book.record({ section: 'controller', name: point, observed: seen });
    expect(seen).toMatch(burying.includes(point) ? /^one dead letter/ : /^one job/);
  });

  it('and leaves nothing in Storage that is not what its name says', async () => {
    await settled();
    expect((await lab.letters()).length).toBe(burying.length);
  });
});

describe('something else is killed while an event is worked on', () => {
  afterEach(async () => {
    lab.inputApi.before = undefined;
    lab.jobApi.before = undefined;
    await lab.killApps();
  });

  async function oneJob(sample: SampleEvent): Promise<void> {
    await until(() => lab.hasRun(sample), 'the job request');
    expect(
      lab.inputApi.samples.filter(({ event }) => lab.jobApi.runs.has(event.id)).every((each) => lab.hasRun(each)),
    ).toBe(true);
  }

  it('the hub emulator, while the input API and the job request are waited for', async () => {
    await lab.run('hub-kills');
    let first: Promise<void> | undefined;
    lab.inputApi.before = ({ method }) => {
      if (method === 'POST') first ??= lab.emulator.restart();
    };
    const sample = await lab.freeze();
    await lab.send('hub-kills', [sample]);
    await oneJob(sample);
    await first;
    book.record({ section: 'hub emulator', name: 'while the package is made', observed: 'one job; no dead letter' });
    lab.inputApi.before = undefined;
    let killed: Promise<void> | undefined;
    lab.jobApi.before = () => {
      killed ??= lab.emulator.restart();
    };
    const samples = [await lab.freeze(), await lab.freeze()];
    await lab.send('hub-kills', samples.slice(0, 1));
    await oneJob(samples[0]!);
    await killed;
    book.record({ section: 'hub emulator', name: 'while the job is requested', observed: 'one job; no dead letter' });
    await lab.send('hub-kills', samples.slice(1));
    await oneJob(samples[1]!);
    book.record({ section: 'hub emulator', name: 'before the next event comes', observed: 'one job; no dead letter' });
  }, 120_000);

  it('the input API, before, in the middle of and after its answers', async () => {
    const points = ['beforeAnswer', 'midManifest', 'afterManifest', 'beforePart', 'midPart'];
    let api = await startInputApiChild(points[0]!);
    try {
      await lab.run('api-kills', { inputApiUrl: api.url });
      const samples: SampleEvent[] = [];
      for (const [index, point] of points.entries()) {
        samples.push(await lab.freeze());
        await lab.send('api-kills', samples.slice(-1));
        await api.exited;
        expect(lab.hasRun(samples.at(-1)!)).toBe(false);
        // The next one dies in its turn, over whatever waits.
        api = await startInputApiChild(points[index + 1] ?? 'none', api.port);
        book.record({ section: 'input API', name: point, observed: 'the event waited; one job; no dead letter' });
      }
      for (const sample of samples) await oneJob(sample);
    } finally {
      api.child.kill('SIGKILL');
      await api.exited;
    }
  }, 120_000);

  it('the connection to the controller API, after it accepted a run: the reply is lost', async () => {
    await lab.run('api-kills');
    const sample = await lab.freeze();
    let isLost = false;
    lab.jobApi.before = (request, response, body) => {
      // Events of the test before may come again: this one's reply is meant.
      if (request.method !== 'POST' || isLost || !body.includes(sample.event.id)) return;
      isLost = true;
      const job = JSON.parse(body.toString()) as Parameters<typeof lab.jobApi.runs.set>[1];
      lab.jobApi.runs.set(job.eventId, job);
      response.destroy();
    };
    await lab.send('api-kills', [sample]);
    await until(() => lab.posts(sample) >= 2, 'it asked again');
    await oneJob(sample);
    book.record({ section: 'controller API', name: 'accepted, reply lost', observed: 'asked twice; one job' });
  }, 90_000);
});

describe('partitions change hands', () => {
  afterEach(() => lab.killApps());

  it('an owner that is frozen in the middle of an upload and wakes up late changes nothing', async () => {
    const first = await lab.run('owners');
    const warm = await lab.freeze();
    await lab.send('owners', [warm]);
    await until(() => lab.hasRun(warm), 'the first owner works');
    const sample = await lab.freeze();
    let isFrozen = false;
    const held: (() => void)[] = [];
    lab.inputApi.before = (request, response) => {
      if (request.method !== 'GET' || isFrozen) return;
      isFrozen = true;
      first.kill('SIGSTOP');
      const bytes = sample.parts.get((request.url ?? '').split('/').at(-1) ?? '');
      response.writeHead(200, { 'content-length': bytes?.length ?? 0 });
      held.push(() => response.end(bytes));
    };
    await lab.send('owners', [sample]);
    await until(() => isFrozen, 'the first owner is frozen');
    await lab.run('owners');
    await until(() => lab.hasRun(sample), 'the second owner did the work');
    const later = await lab.freeze();
    await lab.send('owners', [later]);
    await until(() => lab.hasRun(later), 'and goes on');
    const before = await checkpoint();
    first.kill('SIGCONT');
    for (const end of held) end();
    lab.inputApi.before = undefined;
    const last = await lab.freeze();
    await lab.send('owners', [last]);
    await until(() => lab.hasRun(last), 'and on, with the first one awake');
    await until(async () => (await checkpoint()) > before, 'the checkpoint moves on');
    expect((await checkpoint()) >= before).toBe(true);
    const observed = 'the other owner did the work; one job each; the checkpoint never moved back';
    book.record({
      section: 'partitions',
      name: 'owner frozen past its lease, awake again in the middle of an upload',
      observed,
    });
    await settled();
  }, 90_000);

  it('a partition that moves during an upload gives one job', async () => {
    const first = await lab.run('owners');
    const sample = await lab.freeze();
    let began = false;
    lab.inputApi.before = (request) => {
      if (request.method === 'GET' && !began) {
        began = true;
        first.kill('SIGTERM');
      }
    };
    await lab.send('owners', [sample]);
    await until(() => began, 'an upload is under way');
    await lab.run('owners');
    await until(() => lab.hasRun(sample), 'the job request');
    expect(await first.exited).toEqual({ code: 0, signal: null });
    lab.inputApi.before = undefined;
    const observed = 'the first process ended its event and left in order; one job';
    book.record({ section: 'partitions', name: 'handed over during an upload, at a stop', observed });
  }, 90_000);

  async function checkpoint(): Promise<number> {
    for await (const { name, metadata } of lab.account.container('checkpoints').list()) {
      if (name.includes('/owners/') && name.includes('/checkpoint/')) return Number(metadata['sequencenumber']);
    }
    return -1;
  }

  it('its page says what was tried', () => book.close());
});
