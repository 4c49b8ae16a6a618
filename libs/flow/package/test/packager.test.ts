import { canonicalJson, type Manifest } from '@xva/contracts';
import { sampleEvent, type SampleEvent } from '@xva/testkit';
import { replayLetter, selectLetters, StepFailure, type Outcome } from '../src/index.ts';
import { CrashError, never, received, Rig, transient } from './fakes.ts';

const reasonOf = (outcome: Outcome): string => (outcome.outcome === 'submitted' ? 'submitted' : outcome.failure.reason);

function changed(sample: SampleEvent, change: (manifest: Manifest) => object): Uint8Array {
  return Buffer.from(canonicalJson({ ...sample.manifest, ...change(sample.manifest) }));
}

/** Lets every call to the outside pass through `around`, which may end the process before or after it. */
function wrapCalls(rig: Rig, around: (call: () => Promise<unknown>) => Promise<unknown>): void {
  for (const port of [rig.objects, rig.inputApi, rig.jobApi, rig.deadLetters] as const) {
    for (const name of [
      'readRequest',
      'findObject',
      'putObject',
      'createPackage',
      'openPart',
      'submit',
      'get',
      'put',
    ]) {
      const original = (port as unknown as Record<string, unknown>)[name];
      if (typeof original !== 'function') continue;
      const call = original.bind(port) as (...args: unknown[]) => Promise<unknown>;
      Object.assign(port, { [name]: (...args: unknown[]) => around(() => call(...args)) });
    }
  }
}

async function countCalls(): Promise<number> {
  const sample = sampleEvent();
  const rig = new Rig([sample]);
  let calls = 0;
  wrapCalls(rig, (call) => {
    calls += 1;
    return call();
  });
  await rig.packager().handle(received(sample), never);
  return calls;
}

/** One attempt whose process ends at the given call: from then on nothing is called any more, nothing answers. */
async function dieAt(rig: Rig, sample: SampleEvent, at: number, when: 'before' | 'after'): Promise<void> {
  const dead = new AbortController();
  let calls = 0;
  let isWrapped = true;
  wrapCalls(rig, async (call) => {
    if (!isWrapped) return call();
    dead.signal.throwIfAborted();
    calls += 1;
    const ends = calls === at;
    if (ends && when === 'before') dead.abort(new CrashError());
    dead.signal.throwIfAborted();
    const result = await call();
    if (ends) dead.abort(new CrashError());
    dead.signal.throwIfAborted();
    return result;
  });
  await expect(rig.packager().handle(received(sample), dead.signal)).rejects.toThrow(CrashError);
  isWrapped = false;
}

describe('Packager', () => {
  it('stores parts, then the manifest, then asks for the job', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    const outcome = await rig.packager().handle(received(sample), never);
    expect(outcome).toMatchObject({
      outcome: 'submitted',
      runId: sample.event.data.runId,
      packageId: sample.packageId,
      existed: false,
      stored: { uploaded: 3, reused: 0 },
    });
    expect(rig.objects.written.at(-1)).toBe(sample.packageId);
    expect(rig.jobApi.runs.get(sample.event.id)).toBe(sample.packageId);
  });

  it('sends nothing twice: the same event finds everything there, another one only its own parts', async () => {
    const [first, second] = [sampleEvent({ revision: 1 }), sampleEvent({ revision: 2 })];
    const rig = new Rig([first, second]);
    const packager = rig.packager();
    await packager.handle(received(first), never);
    expect(await packager.handle(received(first), never)).toMatchObject({ existed: true, stored: { uploaded: 0 } });
    expect(await packager.handle(received(second), never)).toMatchObject({ existed: false, stored: { uploaded: 1 } });
    expect(rig.inputApi.opened).toHaveLength(4);
    // What is used again is made young, the manifest included.
    expect(rig.objects.touched).toContain(first.packageId);
    expect(rig.jobApi.runs.size).toBe(2);
  });

  it('uploads again what the collector took between the look and the touch', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    const packager = rig.packager();
    await packager.handle(received(sample), never);
    const find = rig.objects.findObject.bind(rig.objects);
    const { sha256 } = sample.manifest.parts[0]!;
    rig.objects.findObject = async (name) => {
      const found = await find(name);
      if (name === sha256) rig.objects.objects.delete(name);
      return found;
    };
    expect(await packager.handle(received(sample), never)).toMatchObject({ stored: { uploaded: 1, reused: 2 } });
  });

  it('gives one job whatever call the process dies before or after, when the event comes again', async () => {
    const calls = await countCalls();
    expect(calls).toBeGreaterThan(12);
    for (let call = 1; call <= calls; call += 1) {
      for (const when of ['before', 'after'] as const) {
        const sample = sampleEvent();
        const rig = new Rig([sample]);
        await dieAt(rig, sample, call, when);
        expect(await rig.packager().handle(received(sample), never)).toMatchObject({ outcome: 'submitted' });
        expect([...rig.jobApi.runs]).toEqual([[sample.event.id, sample.packageId]]);
        expect(rig.objects.objects.size).toBe(4);
        expect(rig.deadLetters.letters.size).toBe(0);
      }
    }
  });

  it('gives one dead letter whatever call the process dies before or after', async () => {
    for (let call = 1; call <= 3; call += 1) {
      for (const when of ['before', 'after'] as const) {
        const sample = sampleEvent();
        const rig = new Rig([sample]);
        rig.objects.requests.clear();
        await dieAt(rig, sample, call, when);
        await rig.packager().handle(received(sample), never);
        expect([...rig.deadLetters.letters.keys()]).toEqual([sample.event.id]);
        expect(rig.jobApi.runs.size).toBe(0);
      }
    }
  });

  it.each(['readRequest', 'findObject', 'putObject'] as const)('rides out a failing %s', async (method) => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    const original = rig.objects[method].bind(rig.objects) as (...args: unknown[]) => Promise<unknown>;
    let failures = 4;
    Object.assign(rig.objects, {
      [method]: (...args: unknown[]) =>
        failures-- > 0 ? Promise.reject(transient('storage-unavailable')) : original(...args),
    });
    expect(reasonOf(await rig.packager().handle(received(sample), never))).toBe('submitted');
    expect(rig.jobApi.runs.size).toBe(1);
  });

  it('waits for a busy controller as long as it says, without end, and dead-letters nothing', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    for (let count = 0; count < 200; count += 1) {
      rig.jobApi.failures.push(new StepFailure('busy', 'job-api-busy', '429', { retryAfterMs: 2_000 }));
    }
    expect(reasonOf(await rig.packager().handle(received(sample), never))).toBe('submitted');
    expect(rig.inputApi.created).toBe(1);
    expect(rig.clock.slept.filter((ms) => ms >= 2_000 && ms <= 2_100).length).toBeGreaterThanOrEqual(200);
    expect(rig.deadLetters.letters.size).toBe(0);
  });

  it('holds back the calls of other events too while the controller is busy', async () => {
    const samples = [sampleEvent({ revision: 1 }), sampleEvent({ revision: 2 })];
    const rig = new Rig(samples);
    const packager = rig.packager();
    rig.jobApi.failures.push(new StepFailure('busy', 'job-api-busy', '503', { retryAfterMs: 5_000 }));
    await Promise.all(samples.map((sample) => packager.handle(received(sample), never)));
    expect(rig.jobApi.asked).toBe(3);
    expect(Math.max(...rig.clock.slept)).toBeGreaterThan(4_900);
  });

  it('waits for a person when the other side refuses us, and says so', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    rig.jobApi.failures.push(
      ...Array.from({ length: 50 }, () => new StepFailure('operator', 'job-api-refuses-us', '401')),
    );
    expect(reasonOf(await rig.packager().handle(received(sample), never))).toBe('submitted');
    expect(rig.deadLetters.letters.size).toBe(0);
    const waits = rig.happenings.filter(({ happening }) => happening.kind === 'waiting');
    expect(waits).toHaveLength(50);
    expect(waits[0]?.ids.eventId).toBe(sample.event.id);
  });

  it('throws an operator failure at once when nobody waits for a person', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    rig.inputApi.failures.push(new StepFailure('operator', 'input-api-refuses-us', '403'));
    const patience = {
      budgetMs: 1_000,
      outageMs: undefined,
      baseDelayMs: 1,
      maxDelayMs: 1,
      operatorDelayMs: undefined,
    };
    await expect(rig.packager({ patience }).handle(received(sample), never)).rejects.toThrow('403');
    expect(rig.deadLetters.letters.size).toBe(0);
  });

  it('gives an event up when its budget is used up, with the reason, and a replay brings it back once', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    const packager = rig.packager();
    rig.inputApi.failures.push(...Array.from({ length: 10_000 }, () => transient()));
    const outcome = await packager.handle(received(sample), never);
    expect(reasonOf(outcome)).toBe('input-api-unavailable');
    const total = rig.clock.slept.reduce((sum, ms) => sum + ms, 0);
    expect(total).toBeLessThanOrEqual(60_000);
    expect(total).toBeGreaterThan(40_000);
    // The circuit spared the dead API most of the calls.
    expect(rig.inputApi.created).toBeLessThan(40);
    rig.inputApi.failures.length = 0;
    await rig.clock.sleep(10_000);
    const letters: string[] = [];
    for await (const letter of selectLetters(rig.deadLetters, { book: 'RATES' })) letters.push(letter.id);
    expect(letters).toEqual([sample.event.id]);
    const { letter } = (await rig.deadLetters.get(sample.event.id))!;
    const handle = packager.handle.bind(packager);
    for (let round = 0; round < 2; round += 1) {
      const { outcome: replayed } = await replayLetter(letter, handle, rig.deadLetters, rig.clock, never);
      expect(reasonOf(replayed)).toBe('submitted');
    }
    expect(rig.jobApi.runs.size).toBe(1);
    expect((await rig.deadLetters.get(sample.event.id))?.letter.state).toBe('replayed');
  });

  it('keeps a refusal with every defect, counts attempts, and keeps one letter per event', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    const defects = [{ subject: 'T-1', code: 'unknown-trade-type', message: 'trade T-1 has unknown type Foo' }];
    const refuse = (): number =>
      rig.inputApi.failures.push(new StepFailure('poison', 'package-refused', 'input API answered 422', { defects }));
    refuse();
    await rig.packager().handle(received(sample), never);
    refuse();
    await rig.packager().handle(received(sample), never);
    const again = { ...sample.event, time: '2026-10-01T00:00:00Z' };
    refuse();
    await rig.packager().handle({ bytes: Buffer.from(JSON.stringify(again)), source: null }, never);
    expect([...rig.deadLetters.letters.keys()]).toEqual([sample.event.id]);
    const { letter } = (await rig.deadLetters.get(sample.event.id))!;
    expect(letter).toMatchObject({ attempts: 3, reason: 'package-refused', defects, state: 'waiting' });
    expect(letter.traceId).toBe(sample.event.traceparent.slice(3, 35));
    expect(letter.event.data).toBe(sample.eventBytes.toString());
    expect(letter.history).toHaveLength(3);
  });

  it('gives another event of the same id a letter of its own', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    rig.objects.requests.clear();
    const other = { ...sample.event, data: { ...sample.event.data, requestSha256: 'f'.repeat(64) } };
    await rig.packager().handle(received(sample), never);
    await rig.packager().handle({ bytes: Buffer.from(JSON.stringify(other)), source: null }, never);
    expect(rig.deadLetters.letters.size).toBe(2);
  });

  it('writes the dead letter however long the ledger is away', async () => {
    const rig = new Rig([]);
    const put = rig.deadLetters.put.bind(rig.deadLetters);
    let failures = 500;
    rig.deadLetters.put = (letter, version) =>
      failures-- > 0 ? Promise.reject(transient('ledger-unavailable')) : put(letter, version);
    const outcome = await rig.packager().handle({ bytes: Buffer.from('not json'), source: null }, never);
    expect(reasonOf(outcome)).toBe('event-not-json');
    expect(rig.deadLetters.letters.size).toBe(1);
  });

  it('decides nothing about an event whose work was cut off', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    const stop = new AbortController();
    rig.inputApi.answer = () => {
      stop.abort(new Error('stopping'));
      return sample.manifestBytes;
    };
    await expect(rig.packager().handle(received(sample), stop.signal)).rejects.toThrow('stopping');
    expect(rig.deadLetters.letters.size).toBe(0);
    expect(rig.jobApi.runs.size).toBe(0);
  });

  it('asks the input API for no more packages at once than allowed', async () => {
    const samples = Array.from({ length: 12 }, (_unused, index) => sampleEvent({ revision: index + 1 }));
    const rig = new Rig(samples);
    const packager = rig.packager({ packagesAtOnce: 3 });
    await Promise.all(samples.map((sample) => packager.handle(received(sample), never)));
    expect(rig.inputApi.mostRunning).toBe(3);
    expect(rig.jobApi.runs.size).toBe(12);
  });

  it.each<[string, (sample: SampleEvent, rig: Rig) => void]>([
    ['request-missing', (_sample, rig) => rig.objects.requests.clear()],
    ['request-differs', (sample, rig) => rig.objects.requests.set(sample.requestName, Buffer.from('{}'))],
    ['part-differs', (_sample, rig) => (rig.inputApi.part = (bytes) => Buffer.concat([bytes, Buffer.from(' ')]))],
    ['part-differs', (_sample, rig) => (rig.inputApi.part = (bytes) => bytes.subarray(1))],
    ['part-differs', (_sample, rig) => (rig.inputApi.part = (bytes) => Buffer.from(bytes).fill(120, 0, 1))],
    ['object-differs', (sample, rig) => rig.objects.objects.set(sample.manifest.parts[0]!.sha256, Buffer.from('x'))],
    ['run-conflict', (sample, rig) => rig.jobApi.runs.set(sample.event.id, 'f'.repeat(64))],
    ['job-api-nonsense', (_sample, rig) => (rig.jobApi.change = (answer) => ({ ...answer, runId: 'xva-other' }))],
    ['input-api-nonsense', (_sample, rig) => (rig.inputApi.answer = () => Buffer.from('<html>Welcome</html>'))],
    ['package-invalid', (_sample, rig) => (rig.inputApi.answer = () => Buffer.from('{}'))],
  ])('%s ends in a dead letter, and no job', async (reason, spoil) => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    spoil(sample, rig);
    const before = rig.jobApi.runs.size;
    const outcome = await rig.packager().handle(received(sample), never);
    expect(reasonOf(outcome)).toBe(reason);
    expect(rig.deadLetters.letters.size).toBe(1);
    expect(rig.jobApi.runs.size - before).toBe(reason === 'job-api-nonsense' ? 1 : 0);
    if (reason !== 'object-differs') {
      for (const [name, bytes] of rig.objects.objects) {
        expect([...sample.parts.values(), sample.manifestBytes].some((known) => known.equals(bytes))).toBe(true);
        expect(name).toMatch(/^[0-9a-f]{64}$/);
      }
    }
  });

  const nothing = {};
  it.each<[string, (manifest: Manifest) => object]>([
    ['eventId is', () => ({ eventId: '0'.repeat(32) })],
    ['samples is', () => ({ samples: 50 })],
    ['seed is', () => ({ seed: 7 })],
    ['quantile is', () => ({ quantile: '0.99' })],
    ['sharedInputHash', () => ({ sharedInputHash: 'a'.repeat(64) })],
    ['not sorted', ({ parts }) => ({ parts: [...parts].reverse() })],
    ['plain relative path', ({ parts }) => ({ parts: [{ ...parts[0], path: '../../etc/passwd' }, ...parts.slice(1)] })],
    ['plain relative path', ({ parts }) => ({ parts: [{ ...parts[0], path: '/etc/passwd' }, ...parts.slice(1)] })],
    ['differ by case', ({ parts }) => ({ parts: [{ ...parts[0]!, path: 'INPUT/portfolio.xml' }, ...parts.slice(1)] })],
    ['at most 1000000', ({ parts }) => ({ parts: [{ ...parts[0]!, size: 1_000_001 }, ...parts.slice(1)] })],
    ['role portfolio', ({ parts }) => ({ parts: parts.filter((part) => part.role !== 'portfolio') })],
    [
      'T-2 of netting set NS-1 is missing',
      ({ nettingSets: [set] }) => ({ nettingSets: [{ ...set!, trades: set!.trades.slice(0, 1) }] }),
    ],
    [
      'T-9 was never asked',
      ({ nettingSets: [set] }) => ({
        nettingSets: [{ ...set!, trades: [...set!.trades, { ...set!.trades[0]!, tradeId: 'T-9' }] }],
      }),
    ],
    ['packaged twice', ({ nettingSets: [set] }) => ({ nettingSets: [set!, { ...set!, id: 'NS-2' }] })],
    ['Unrecognized key', () => ({ extra: nothing })],
  ])('a manifest with a fault (%s) is refused by name', async (text, change) => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    rig.inputApi.answer = () => changed(sample, change);
    const outcome = await rig.packager().handle(received(sample), never);
    expect(reasonOf(outcome)).toBe('package-invalid');
    expect((await rig.deadLetters.get(sample.event.id))?.letter.message).toContain(text);
    expect(rig.objects.objects.size).toBe(0);
  });

  it('refuses a manifest with half a surrogate pair at once: no hash can be taken of it', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    const spoilt = { ...sample.manifest, generator: { name: 'g', version: '1\uD800' } };
    rig.inputApi.answer = () => Buffer.from(JSON.stringify(spoilt));
    const outcome = await rig.packager().handle(received(sample), never);
    expect(reasonOf(outcome)).toBe('package-invalid');
    const letter = (await rig.deadLetters.get(sample.event.id))?.letter;
    expect(letter?.message).toContain('generator.version: text has a lone surrogate');
    expect(letter?.attempts).toBe(1);
  });

  it('accepts that a refused netting set or a warning accounts for a trade', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    rig.inputApi.answer = () =>
      changed(sample, ({ nettingSets: [set] }) => ({
        nettingSets: [{ ...set!, trades: set!.trades.slice(0, 1) }],
        warnings: [{ code: 'matured-trade', subject: 'T-2', message: 'trade T-2 has matured' }],
      }));
    expect(reasonOf(await rig.packager().handle(received(sample), never))).toBe('submitted');
  });

  it.each(['<!DOCTYPE x>', '<!docTYPE x [', '\n\n  <!ENTITY a "b">', 'a\0b'])(
    'refuses a part with %j, wherever the chunks are cut',
    async (text) => {
      const sample = sampleEvent({ texts: { 'Input/simulation.xml': `<Simulation/>${text}` } });
      const rig = new Rig([sample]);
      expect(reasonOf(await rig.packager().handle(received(sample), never))).toBe('part-forbidden');
      expect(rig.jobApi.runs.size).toBe(0);
    },
  );

  it('asks for the package again when the input API has dropped it', async () => {
    const sample = sampleEvent();
    const rig = new Rig([sample]);
    rig.inputApi.partFailures.push(transient('part-not-cached'));
    expect(reasonOf(await rig.packager().handle(received(sample), never))).toBe('submitted');
    expect(rig.inputApi.created).toBe(2);
  });
});
