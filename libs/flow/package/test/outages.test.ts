import { sampleEvent, trialBook, type SampleEvent } from '@xva/testkit';
import { Evidence, StepFailure, type Outcome } from '../src/index.ts';
import { never, received, Rig, transient } from './fakes.ts';

const book = trialBook(
  'Event controller: whose failure is it',
  'docs/trials/event-controller-outages.md',
  'libs/flow/package/test/outages.test.ts',
);
const hourMs = 3_600_000;
const reasonOf = (outcome: Outcome): string => (outcome.outcome === 'submitted' ? 'job' : 'dead letter');
const samplesOf = (count: number): SampleEvent[] =>
  Array.from({ length: count }, (_unused, index) => sampleEvent({ revision: index + 1 }));

function fails(rig: Rig, isBroken: (sample: SampleEvent, atMs: number) => StepFailure | undefined): void {
  const began = rig.clock.now().getTime();
  const create = rig.inputApi.createPackage.bind(rig.inputApi);
  rig.inputApi.createPackage = (request) => {
    const sample = rig.samples.find((candidate) => candidate.requestBytes.equals(request))!;
    const failure = isBroken(sample, rig.clock.now().getTime() - began);
    return failure === undefined ? create(request) : Promise.reject(failure);
  };
}

async function outcomes(rig: Rig): Promise<string> {
  const packager = rig.packager();
  const ended = await Promise.all(rig.samples.map((sample) => packager.handle(received(sample), never)));
  const names = ended.map(reasonOf);
  const jobs = names.filter((name) => name === 'job').length;
  expect(rig.jobApi.runs.size).toBe(jobs);
  expect(rig.deadLetters.letters.size).toBe(names.length - jobs);
  return `${jobs} jobs, ${names.length - jobs} dead letters`;
}

describe('an outage of three hours with a budget of one minute per event', () => {
  const outage = (reason: string) => new StepFailure('outage', reason, 'nobody listens');
  const cases: readonly [string, number, string, (rig: Rig) => void][] = [
    [
      'input API cannot be reached, one event',
      1,
      '1 jobs, 0 dead letters',
      (rig) => {
        fails(rig, (_sample, at) => (at < 3 * hourMs ? outage('input-api-unavailable') : undefined));
      },
    ],
    [
      'input API cannot be reached, twelve events',
      12,
      '12 jobs, 0 dead letters',
      (rig) => {
        fails(rig, (_sample, at) => (at < 3 * hourMs ? outage('input-api-unavailable') : undefined));
      },
    ],
    [
      'input API hangs whatever it is asked, one event',
      1,
      '1 jobs, 0 dead letters',
      (rig) => {
        rig.inputApi.lives = false;
        fails(rig, (_sample, at) => (at < 3 * hourMs ? transient() : undefined));
      },
    ],
    [
      'input API answers, but fails every package, twelve events',
      12,
      '12 jobs, 0 dead letters',
      (rig) => {
        fails(rig, (_sample, at) => (at < 3 * hourMs ? transient() : undefined));
      },
    ],
    [
      'a proxy answers every package with a web page, twelve events',
      12,
      '12 jobs, 0 dead letters',
      (rig) => {
        const began = rig.clock.now().getTime();
        rig.inputApi.answer = (sample) =>
          rig.clock.now().getTime() - began < 3 * hourMs ? Buffer.from('<html>sign in</html>') : sample.manifestBytes;
      },
    ],
    [
      'every part is cut in the middle, twelve events',
      12,
      '12 jobs, 0 dead letters',
      (rig) => {
        const began = rig.clock.now().getTime();
        const open = rig.inputApi.openPart.bind(rig.inputApi);
        rig.inputApi.openPart = async (packageId, sha256) => {
          const chunks = await open(packageId, sha256);
          if (rig.clock.now().getTime() - began >= 3 * hourMs) return chunks;
          return (async function* () {
            for await (const chunk of chunks) {
              yield chunk;
              throw transient();
            }
          })();
        };
      },
    ],
    [
      'controller cannot be reached, twelve events',
      12,
      '12 jobs, 0 dead letters',
      (rig) => {
        const began = rig.clock.now().getTime();
        const submit = rig.jobApi.submit.bind(rig.jobApi);
        rig.jobApi.submit = (request) =>
          rig.clock.now().getTime() - began < 3 * hourMs
            ? Promise.reject(outage('job-api-unavailable'))
            : submit(request);
      },
    ],
    [
      'controller answers 500 to every request, twelve events',
      12,
      '12 jobs, 0 dead letters',
      (rig) => {
        const began = rig.clock.now().getTime();
        const submit = rig.jobApi.submit.bind(rig.jobApi);
        rig.jobApi.submit = (request) =>
          rig.clock.now().getTime() - began < 3 * hourMs
            ? Promise.reject(transient('job-api-unavailable'))
            : submit(request);
      },
    ],
    [
      'Storage is away, twelve events',
      12,
      '12 jobs, 0 dead letters',
      (rig) => {
        const began = rig.clock.now().getTime();
        const find = rig.objects.findObject.bind(rig.objects);
        rig.objects.findObject = (name) =>
          rig.clock.now().getTime() - began < 3 * hourMs
            ? Promise.reject(outage('work-storage-unavailable'))
            : find(name);
      },
    ],
    [
      'one event of twelve kills its generator each time',
      12,
      '11 jobs, 1 dead letters',
      (rig) => {
        fails(rig, (sample) => (sample === rig.samples[5] ? transient() : undefined));
      },
    ],
    [
      'two events of two break it, each in its way, and it lives',
      2,
      '0 jobs, 2 dead letters',
      (rig) => {
        fails(rig, () => transient());
      },
    ],
    [
      'the only event kills its generator each time, the service lives',
      1,
      '0 jobs, 1 dead letters',
      (rig) => {
        fails(rig, () => transient());
      },
    ],
  ];

  it.each(cases)('%s', async (name, count, expected, spoil) => {
    const rig = new Rig(samplesOf(count));
    spoil(rig);
    const observed = await outcomes(rig);
    book.record({ section: 'an outage of three hours, a budget of one minute', name, observed });
    expect(observed).toBe(expected);
  });

  it('asks a service that is down seldom, and one that refuses the key once per wait, however many events there are', async () => {
    const rig = new Rig(samplesOf(12));
    let asked = 0;
    fails(rig, (_sample, at) => {
      if (at >= hourMs) return undefined;
      asked += 1;
      return new StepFailure('operator', 'input-api-refuses-us', '401');
    });
    expect(await outcomes(rig)).toBe('12 jobs, 0 dead letters');
    // Twelve events that each asked every ten seconds would be 4,320 calls.
    expect(asked).toBeLessThanOrEqual(hourMs / 10_000 + 12);
    const name = 'the key is refused for an hour, twelve events';
    book.record({ section: 'sparing', name, observed: 'one call per wait, not one per event; 12 jobs' });
  });

  it('gives an event back undecided when nobody waits for the end of an outage', async () => {
    const rig = new Rig(samplesOf(1));
    fails(rig, () => outage('input-api-unavailable'));
    const patience = {
      budgetMs: 1_000,
      outageMs: 30_000,
      baseDelayMs: 10,
      maxDelayMs: 1_000,
      operatorDelayMs: undefined,
    };
    await expect(rig.packager({ patience }).handle(received(rig.samples[0]!), never)).rejects.toMatchObject({
      kind: 'outage',
    });
    expect(rig.deadLetters.letters.size).toBe(0);
    const name = 'replay by hand while the input API is down';
    book.record({ section: 'sparing', name, observed: 'the event is left as it was after 30 s; no dead letter' });
  });

  it('its page says what was tried', () => book.close());
});

describe('Evidence', () => {
  it('blames an event only when others fare better since it failed last', () => {
    const evidence = new Evidence();
    expect(['a', 'b', 'c', 'd', 'a'].map((caller) => evidence.failed(caller))).toEqual([
      'few',
      'few',
      'few',
      'service',
      'service',
    ]);
    evidence.succeeded('e');
    expect(evidence.failed('a')).toBe('event');
    expect(evidence.failed('a')).toBe('few');
    evidence.succeeded('a');
    expect(evidence.failed('b')).toBe('event');
  });

  it('remembers who gave up until somebody succeeds', () => {
    const evidence = new Evidence();
    for (const caller of ['a', 'b', 'c']) {
      evidence.failed(caller);
      evidence.ended(caller);
    }
    expect(evidence.failed('d')).toBe('service');
    evidence.succeeded('e');
    expect(evidence.failed('d')).toBe('event');
    evidence.succeeded('d');
    expect(evidence.failed('f')).toBe('few');
  });
});
