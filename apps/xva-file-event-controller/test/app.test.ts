import { EventPublisher } from '@xva/azure-event-hubs';
import { BlobAccount } from '@xva/azure-storage';
import { printable } from '@xva/runtime';
import {
  letLongTimersGo,
  sampleEvent,
  startAzurite,
  startEventHubsEmulatorProcess,
  type Azurite,
  type EventHubsEmulatorProcess,
  type SampleEvent,
} from '@xva/testkit';
import { runVerb, startApp, until, type RunningApp, type Settings } from './processes.ts';
import { json, problem, StubInputApi, StubJobApi } from './stubs.ts';

letLongTimersGo();

let azurite: Azurite;
let emulator: EventHubsEmulatorProcess;
let publisher: EventPublisher;
let account: BlobAccount;
const inputApi = new StubInputApi();
const jobApi = new StubJobApi(inputApi.samples);
const apps: RunningApp[] = [];
let revision = 0;

beforeAll(async () => {
  [emulator, azurite] = await Promise.all([
    startEventHubsEmulatorProcess([{ name: 'xva-runs', partitions: 4, consumerGroups: ['xva-file-event-controller'] }]),
    startAzurite(),
    inputApi.server.start(),
    jobApi.server.start(),
  ]);
  publisher = new EventPublisher({ connectionString: emulator.connectionString, hub: 'xva-runs', tryTimeoutMs: 3_000 });
  account = new BlobAccount({ connectionString: azurite.connectionString });
  await account.container('requests').ensure();
});

afterEach(async () => {
  inputApi.before = undefined;
  jobApi.before = undefined;
  for (const app of apps.splice(0)) {
    app.kill('SIGKILL');
    await app.exited;
  }
});

afterAll(async () => {
  await publisher.close();
  await Promise.all([inputApi.server.stop(), jobApi.server.stop(), emulator.stop(), azurite.stop()]);
});

function settings(change: Settings = {}): Settings {
  return {
    hubConnectionString: emulator.connectionString,
    hubName: 'xva-runs',
    workConnectionString: azurite.connectionString,
    ledgerConnectionString: azurite.connectionString,
    inputApiUrl: inputApi.server.url,
    inputApiKey: 'input-api-key',
    controllerUrl: jobApi.server.url,
    controllerApiKey: 'job-api-key',
    balanceIntervalMs: 200,
    ownershipExpiryMs: 1_500,
    retryMaxMs: 500,
    operatorRetryMs: 300,
    circuitCoolDownMs: 300,
    opsPort: 0,
    shutdownGraceTimeMs: 5_000,
    ...change,
  };
}

async function start(change: Settings = {}): Promise<RunningApp> {
  const app = await startApp(settings(change));
  apps.push(app);
  return app;
}

/** New events whose requests are frozen and whose packages the input API knows. */
async function freeze(count: number): Promise<readonly SampleEvent[]> {
  const samples = Array.from({ length: count }, () => sampleEvent({ book: `BOOK-${(revision += 1) % 5}`, revision }));
  inputApi.samples.push(...samples);
  await Promise.all(
    samples.map(({ requestName, requestBytes }) => account.container('requests').put(requestName, requestBytes)),
  );
  return samples;
}

async function send(samples: readonly SampleEvent[]): Promise<void> {
  await publisher.publish(
    samples.map(({ event, eventBytes }) => ({
      id: event.id,
      body: eventBytes,
      partitionKey: event.data.requestKey.book,
    })),
  );
}

const hasRun = ({ event, packageId }: SampleEvent): boolean => jobApi.runs.get(event.id)?.packageId === packageId;
const postsOf = ({ event }: SampleEvent): number =>
  jobApi.server.requests.filter(({ method, body }) => method === 'POST' && body.includes(event.id)).length;

describe('xva-file-event-controller', () => {
  it('makes one job request of an event, quickly, and stops in order with its checkpoint written', async () => {
    const app = await start();
    const warmUp = await freeze(4);
    await send(warmUp);
    await until(() => warmUp.every(hasRun), 'warm-up');
    const took: number[] = [];
    for (let count = 0; count < 15; count += 1) {
      const [sample] = await freeze(1);
      const started = performance.now();
      await send([sample!]);
      await until(() => hasRun(sample!), 'the job request');
      took.push(performance.now() - started);
      expect(postsOf(sample!)).toBe(1);
      const manifest = await account.container('objects').get(sample!.packageId);
      expect(manifest?.bytes.equals(sample!.manifestBytes)).toBe(true);
      for (const [sha256, bytes] of sample!.parts) {
        expect((await account.container('objects').get(sha256))?.bytes.equals(bytes)).toBe(true);
      }
    }
    const median = [...took].sort((a, b) => a - b)[7]!;
    process.stderr.write(`event sent to job request: median ${Math.round(median)} ms\n`);
    expect(median).toBeLessThan(400);
    const line = app.log.find(({ message, msg }) => (msg ?? message) === 'job requested');
    expect(line).toMatchObject({ existed: false, uploaded: 3 });
    for (const field of ['eventId', 'runId', 'partition', 'sequence', 'traceId', 'packageId'])
      expect(line).toHaveProperty(field);
    await until(async () => (await fetch(`${app.opsUrl}/readyz`)).status === 200, 'ready');
    expect(await (await fetch(`${app.opsUrl}/metrics`)).text()).toContain(
      'xva_events_total{outcome="submitted",reason=""} 19',
    );
    app.kill('SIGTERM');
    expect(await app.exited).toEqual({ code: 0, signal: null });
    const again = await runVerb(['once'], settings());
    expect(JSON.parse(again.out)).toEqual({ submitted: 0, existed: 0, deadLettered: 0 });
  }, 40_000);

  it.each(['afterReceive', 'afterSubmit'] as const)(
    'killed at %s it gives one job after a restart',
    async (crashAt) => {
      const samples = await freeze(1);
      await send(samples);
      const dying = await start({ crashAt });
      expect((await dying.exited).signal).toBe('SIGKILL');
      const drained = await runVerb(['once'], settings());
      expect({ code: drained.code, err: drained.code === 0 ? '' : drained.err }).toEqual({ code: 0, err: '' });
      expect(samples.every(hasRun)).toBe(true);
      expect(postsOf(samples[0]!)).toBe(crashAt === 'afterSubmit' ? 2 : 1);
    },
    30_000,
  );

  it('killed after it wrote a dead letter it adds an attempt to the same letter', async () => {
    const bytes = Buffer.from('no event');
    await publisher.publish([{ id: 'none', body: bytes, partitionKey: 'x' }]);
    const dying = await start({ crashAt: 'afterBury' });
    expect((await dying.exited).signal).toBe('SIGKILL');
    expect(JSON.parse((await runVerb(['once'], settings())).out)).toMatchObject({ deadLettered: 1 });
    const listed = (await runVerb(['dead-letters', 'list'], settings())).out.trim().split('\n');
    expect(listed.map((line) => JSON.parse(line) as object)).toMatchObject([{ reason: 'event-not-json', attempts: 2 }]);
    await runVerb(['dead-letters', 'discard', '--all', '--yes'], settings());
  }, 30_000);

  it('hands its partitions to another process when it is killed, within seconds, and repeats do no harm', async () => {
    const first = await start();
    const before = await freeze(30);
    await send(before);
    await until(() => before.some(hasRun), 'work has begun');
    await start();
    const after = await freeze(30);
    first.kill('SIGKILL');
    const killed = performance.now();
    await send(after);
    await until(() => [...before, ...after].every(hasRun), 'every event is a job', 15_000);
    process.stderr.write(`takeover after kill -9: ${Math.round(performance.now() - killed)} ms (expiry 1500 ms)\n`);
    expect(new Set(jobApi.runs.keys()).size).toBe(jobApi.runs.size);
  }, 40_000);

  it('slows down when the controller is busy and dead-letters nothing', async () => {
    const app = await start();
    let busy = 3;
    jobApi.before = (_request, response) => {
      if (busy-- > 0) json(response, 429, problem(429, 'busy'), { 'retry-after': '1' });
    };
    const samples = await freeze(2);
    await send(samples);
    await until(() => samples.every(hasRun), 'all are jobs in the end');
    expect(app.log.some(({ reason }) => reason === 'job-api-busy')).toBe(true);
    expect(app.log.some(({ msg, message }) => (msg ?? message) === 'event became a dead letter')).toBe(false);
  }, 30_000);

  it('waits for a person when its key is refused, says so in /readyz, and goes on when that is settled', async () => {
    let isRefused = true;
    jobApi.before = (_request, response) => {
      if (isRefused) json(response, 403, problem(403, 'forbidden'));
    };
    const app = await start();
    const samples = await freeze(2);
    await send(samples);
    await until(async () => {
      const answer = await fetch(`${app.opsUrl}/readyz`);
      return answer.status === 503 && (await answer.text()).includes('job-api-refuses-us');
    }, 'not ready, with the reason');
    isRefused = false;
    await until(() => samples.every(hasRun), 'all are jobs');
    await until(async () => (await fetch(`${app.opsUrl}/readyz`)).ok, 'ready again');
  }, 30_000);

  it('once says what it waits for and leaves the event in the hub when its key is refused', async () => {
    const samples = await freeze(1);
    await send(samples);
    const refused = await runVerb(['once'], settings({ inputApiKey: 'wrong' }));
    expect(refused.code).toBe(4);
    expect(refused.err).toContain('input API answered 401');
    const drained = await runVerb(['once'], settings());
    expect(JSON.parse(drained.out)).toMatchObject({ submitted: 1, deadLettered: 0 });
    expect(samples.every(hasRun)).toBe(true);
  }, 30_000);

  it('keeps poison as dead letters that can be listed, shown, replayed once the fault is mended, and discarded', async () => {
    const [refused, garbage] = [await freeze(2), Buffer.from('{"hello":')];
    const errors = [{ subject: 'T-1', code: 'missing-quote', message: 'quote FX/RATE/EUR/USD is missing' }];
    inputApi.before = (request, response) => {
      if (request.method === 'POST') json(response, 422, problem(422, 'package-refused', errors));
    };
    await send(refused);
    await publisher.publish([{ id: 'garbage', body: garbage, partitionKey: 'x' }]);
    const drained = await runVerb(['once'], settings());
    expect(JSON.parse(drained.out)).toEqual({ submitted: 0, existed: 0, deadLettered: 3 });
    const listed = await runVerb(['dead-letters', 'list'], settings());
    const lines = listed.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; reason: string; runId: string | null });
    expect(lines.map(({ reason }) => reason).sort()).toEqual(['event-not-json', 'package-refused', 'package-refused']);
    const shown = await runVerb(['dead-letters', 'show', refused[0]!.event.id], settings());
    expect(JSON.parse(shown.out)).toMatchObject({
      defects: errors,
      attempts: 1,
      source: { partitionId: expect.any(String) as string },
    });

    const dry = await runVerb(['dead-letters', 'replay', '--reason', 'package-refused'], settings());
    expect(dry.out).toContain('"would":"replay"');
    expect(refused.some(hasRun)).toBe(false);
    expect((await runVerb(['dead-letters', 'replay', '--yes'], settings())).code).toBe(2);
    const failing = await runVerb(['dead-letters', 'replay', refused[0]!.event.id, '--yes'], settings());
    expect(failing.code).toBe(1);
    inputApi.before = undefined;
    const replayed = await runVerb(['dead-letters', 'replay', '--reason', 'package-refused', '--yes'], settings());
    expect({ code: replayed.code, err: replayed.code === 0 ? '' : replayed.err }).toEqual({ code: 0, err: '' });
    expect(refused.every(hasRun)).toBe(true);
    expect(refused.map(postsOf)).toEqual([1, 1]);
    const rest = await runVerb(['dead-letters', 'discard', '--all', '--yes', '--note', 'no event at all'], settings());
    expect(rest.out).toContain('"did":"discarded"');
    expect((await runVerb(['dead-letters', 'list'], settings())).out).toBe('');
    expect((await runVerb(['dead-letters', 'list', '--closed'], settings())).out.trim().split('\n')).toHaveLength(4);
  }, 60_000);

  it('prints letters so that neither a terminal nor a spreadsheet obeys what is in them', async () => {
    const type = '=HYPERLINK("http://evil.invalid")\u001b]0;owned\u0007\u202e,"x"\r\n';
    const evil = Buffer.from(JSON.stringify({ specversion: '1.0', type }));
    await publisher.publish([{ id: 'evil', body: evil, partitionKey: 'x' }]);
    expect(JSON.parse((await runVerb(['once'], settings())).out)).toMatchObject({ deadLettered: 1 });
    const query = ['--reason', 'event-type-unknown'];
    for (const [args, global] of [
      [['dead-letters', 'list', ...query], []],
      [['dead-letters', 'list', '--csv', ...query], []],
      [['dead-letters', 'list', ...query], ['--json']],
      [['dead-letters', 'replay', ...query], []],
    ] as const) {
      const { code, out } = await runVerb(args, settings(), global);
      expect(code).toBe(0);
      expect(out).toContain('HYPERLINK');
      for (const line of out.split('\n')) expect(printable(line)).toBe(line);
    }
    const csv = (await runVerb(['dead-letters', 'list', '--csv', ...query], settings(), [])).out.trim().split('\n');
    expect(csv).toHaveLength(2);
    expect(csv[0]).toBe('id,state,reason,attempts,firstSeen,lastSeen,book,eventId,runId,traceId,message');
    const [id = ''] = (csv[1] ?? '').split(',');
    const shown = await runVerb(['dead-letters', 'show', id], settings(), []);
    expect(Buffer.from((JSON.parse(shown.out) as { event: { data: string } }).event.data).equals(evil)).toBe(true);
    expect((await runVerb(['dead-letters', 'show', '../checkpoints/x'], settings(), [])).code).toBe(2);
    const head = await account.container('deadletters').head(`${id}.json`);
    expect(head?.metadata).toMatchObject({ xva_class: 'dead-letter', xva_letter_state: 'waiting' });
    await runVerb(['dead-letters', 'discard', id, '--yes'], settings());
    const closed = await account.container('deadletters').head(`${id}.json`);
    expect(closed?.metadata).toMatchObject({ xva_letter_state: 'discarded' });
  }, 60_000);

  it('two replays of one letter at the same time give one job', async () => {
    const [sample] = await freeze(1);
    inputApi.before = (request, response) => {
      if (request.method === 'POST') json(response, 422, problem(422, 'package-refused'));
    };
    await send([sample!]);
    await runVerb(['once'], settings());
    inputApi.before = undefined;
    const replay = () => runVerb(['dead-letters', 'replay', sample!.event.id, '--yes'], settings());
    const results = await Promise.all([replay(), replay()]);
    // The slower one may find the letter closed already.
    for (const { code } of results) expect([0, 5]).toContain(code);
    expect(hasRun(sample!)).toBe(true);
    expect([...jobApi.runs.keys()].filter((id) => id === sample!.event.id)).toHaveLength(1);
    const shown = await runVerb(['dead-letters', 'show', sample!.event.id], settings());
    expect(JSON.parse(shown.out)).toMatchObject({ state: 'replayed' });
  }, 60_000);

  it('check names what is wrong and hides secrets', async () => {
    const good = await runVerb(['check'], settings());
    expect(good.code).toBe(0);
    const bad = await runVerb(['check'], settings({ hubName: 'no-such-hub', controllerApiKey: 'wrong-secret' }));
    expect(bad.code).toBe(4);
    expect(bad.err).toContain('not ready: event-hub, controller');
    expect(bad.out).not.toContain('wrong-secret');
    const unset = await runVerb(['config'], { ownershipExpiryMs: 5 });
    expect(unset.code).toBe(3);
    for (const name of ['XVA_INPUT_API_URL', 'XVA_CONTROLLER_API_KEY']) expect(unset.err).toContain(name);
  }, 30_000);
});
