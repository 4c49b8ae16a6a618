import fc from 'fast-check';
import type { StoredEvent } from '../events/stored-event.ts';
import { MemoryDirectory, type SegmentDirectory } from './directory.ts';
import { withFaults, type DiskOperation } from './faulty-directory.ts';
import { PartitionLog, type LogOptions } from './partition-log.ts';
import { PositionPastEndError } from './position.ts';

/** What a log must be: a list of numbered events that only grows at its end and shrinks at its beginning. */
interface Model {
  readonly events: { readonly text: string; readonly enqueuedMs: number }[];
  begin: number;
  nowMs: number;
}

interface Real {
  readonly disk: MemoryDirectory;
  readonly failures: DiskOperation[];
  log: PartitionLog;
}

type Command = fc.AsyncCommand<Model, Real>;

const retentionMs = 10_000;

function stored(text: string): StoredEvent {
  return { header: Buffer.alloc(0), annotationCount: 0, annotations: Buffer.alloc(0), bare: Buffer.from(text) };
}

function optionsFor(model: Model): LogOptions {
  return { now: () => model.nowMs, segmentBytes: 600, retentionMs, retentionBytes: Infinity };
}

/** The directory, failing once for each operation that `failures` names. */
function failing(disk: MemoryDirectory, failures: DiskOperation[]): SegmentDirectory {
  const take = (operation: DiskOperation): { kind: string; errno: string } | undefined => {
    const at = failures.indexOf(operation);
    if (at === -1) return undefined;
    failures.splice(at, 1);
    return { kind: 'fail', errno: operation === 'create' ? 'EMFILE' : operation === 'sync' ? 'EIO' : 'ENOSPC' };
  };
  return withFaults(disk, take, undefined);
}

async function check(model: Model, real: Real): Promise<void> {
  const { info } = real.log;
  expect(info.lastSequence).toBe(model.events.length - 1);
  expect(info.beginSequence).toBeGreaterThanOrEqual(model.begin);
  model.begin = info.beginSequence;
  expect(info.isEmpty).toBe(model.begin === model.events.length);
  let next = model.begin;
  let lastOffset = -1;
  for (;;) {
    const events = await real.log.read(next, 5, 300);
    if (events.length === 0) break;
    for (const event of events) {
      expect([event.sequence, event.bare.toString()]).toEqual([next, model.events[next]!.text]);
      expect(event.enqueuedMs).toBe(model.events[next]!.enqueuedMs);
      expect(event.offset).toBeGreaterThan(lastOffset);
      lastOffset = event.offset;
      next += 1;
    }
  }
  expect(next).toBe(model.events.length);
}

class Append implements Command {
  readonly texts: readonly string[];
  constructor(texts: readonly string[]) {
    this.texts = texts;
  }
  check = (): boolean => true;
  run = async (model: Model, real: Real): Promise<void> => {
    const { enqueuedMs: lastMs = 0 } = model.events.at(-1) ?? {};
    const receipt = await real.log.append(this.texts.map(stored));
    expect(receipt.firstSequence).toBe(model.events.length);
    for (const text of this.texts) model.events.push({ text, enqueuedMs: Math.max(model.nowMs, lastMs) });
    await check(model, real);
  };
  toString = (): string => `append ${this.texts.length}`;
}

/** A disk that fails once refuses the publication that it fails at; a repeat is stored, once. */
class AppendOnBrokenDisk implements Command {
  readonly operation: DiskOperation;
  readonly text: string;
  constructor(operation: DiskOperation, text: string) {
    this.operation = operation;
    this.text = text;
  }
  check = (): boolean => true;
  run = async (model: Model, real: Real): Promise<void> => {
    real.failures.push(this.operation);
    const { enqueuedMs: lastMs = 0 } = model.events.at(-1) ?? {};
    const outcome = await real.log.append([stored(this.text)]).then(
      () => 'stored',
      (error: unknown) => String(error),
    );
    const wasHit = real.failures.length === 0;
    real.failures.length = 0;
    if (wasHit) expect(outcome).toMatch(/ENOSPC|EIO|EMFILE/);
    else expect(outcome).toBe('stored');
    expect(real.log.failure).toBeUndefined();
    if (outcome === 'stored') model.events.push({ text: this.text, enqueuedMs: Math.max(model.nowMs, lastMs) });
    await check(model, real);
  };
  toString = (): string => `append while ${this.operation} fails`;
}

class Reopen implements Command {
  readonly isTorn: boolean;
  constructor(isTorn: boolean) {
    this.isTorn = isTorn;
  }
  check = (): boolean => true;
  run = async (model: Model, real: Real): Promise<void> => {
    await real.log.close();
    if (this.isTorn) {
      const name = [...real.disk.files.keys()].sort().at(-1)!;
      real.disk.files.set(name, Buffer.concat([real.disk.files.get(name)!, Buffer.from([0, 0, 1, 0, 7, 7])]));
    }
    real.log = await PartitionLog.open(failing(real.disk, real.failures), optionsFor(model));
    expect(real.log.recoveredBytes).toBe(this.isTorn ? 6 : 0);
    await check(model, real);
  };
  toString = (): string => (this.isTorn ? 'crash with a torn tail' : 'restart');
}

class Wait implements Command {
  readonly ms: number;
  readonly isBroken: boolean;
  constructor(ms: number, isBroken: boolean) {
    this.ms = ms;
    this.isBroken = isBroken;
  }
  check = (): boolean => true;
  run = async (model: Model, real: Real): Promise<void> => {
    model.nowMs += this.ms;
    if (this.isBroken) real.failures.push('remove');
    await real.log.trim().catch((error: unknown) => expect(String(error)).toContain('ENOSPC'));
    real.failures.length = 0;
    await check(model, real);
    // Nothing younger than the retention goes.
    const young = model.events.findIndex(({ enqueuedMs }) => enqueuedMs >= model.nowMs - retentionMs);
    if (young !== -1) expect(model.begin).toBeLessThanOrEqual(young);
  };
  toString = (): string => `${this.ms} ms pass, trim${this.isBroken ? ' (the disk fails)' : ''}`;
}

class Seek implements Command {
  readonly place: number;
  readonly inclusive: boolean;
  constructor(place: number, inclusive: boolean) {
    this.place = place;
    this.inclusive = inclusive;
  }
  check = (model: Readonly<Model>): boolean => model.events.length > 0;
  run = async (model: Model, real: Real): Promise<void> => {
    const sequence = this.place % (model.events.length + 3);
    const { inclusive } = this;
    const bound = inclusive ? model.events.length : model.events.length - 1;
    const found = real.log.find({ kind: 'sequence', sequence, inclusive });
    if (sequence > bound) await expect(found).rejects.toThrow(PositionPastEndError);
    else expect(await found).toBe(Math.max(model.begin, inclusive ? sequence : sequence + 1));
    const unixMs = model.events[sequence]?.enqueuedMs ?? model.nowMs;
    const late = model.events.findIndex(
      (event, index) => index >= model.begin && (inclusive ? event.enqueuedMs >= unixMs : event.enqueuedMs > unixMs),
    );
    expect(await real.log.find({ kind: 'time', unixMs, inclusive })).toBe(late === -1 ? model.events.length : late);
  };
  toString = (): string => `seek ${this.place}${this.inclusive ? ' inclusive' : ''}`;
}

const text = fc.string({ maxLength: 150 });

describe('the log against a model', () => {
  it('is a numbered list through restarts, torn tails, retention and a disk that fails', async () => {
    const commands = fc.commands(
      [
        fc.array(text, { minLength: 1, maxLength: 4 }).map((texts) => new Append(texts)),
        fc
          .tuple(fc.constantFrom<DiskOperation>('write', 'create'), text)
          .map(([operation, each]) => new AppendOnBrokenDisk(operation, each)),
        fc.boolean().map((isTorn) => new Reopen(isTorn)),
        fc.tuple(fc.nat(6000), fc.boolean()).map(([ms, isBroken]) => new Wait(ms, isBroken)),
        fc.tuple(fc.nat(), fc.boolean()).map(([place, inclusive]) => new Seek(place, inclusive)),
      ],
      { maxCommands: 40 },
    );
    await fc.assert(
      fc.asyncProperty(commands, async (list) => {
        await fc.asyncModelRun(async () => {
          const model: Model = { events: [], begin: 0, nowMs: 1_000_000 };
          const disk = new MemoryDirectory();
          const failures: DiskOperation[] = [];
          const log = await PartitionLog.open(failing(disk, failures), optionsFor(model));
          return { model, real: { disk, failures, log } };
        }, list);
      }),
      { numRuns: 150 },
    );
  });

  it('a sync that fails is a refusal; when not even the cut back can be synced, nothing more is taken', async () => {
    const model: Model = { events: [], begin: 0, nowMs: 1 };
    const disk = new MemoryDirectory();
    const failures: DiskOperation[] = [];
    const log = await PartitionLog.open(failing(disk, failures), optionsFor(model));
    await log.append([stored('a')]);
    failures.push('sync');
    await expect(log.append([stored('lost')])).rejects.toThrow('EIO: fault rule, sync');
    expect(await log.append([stored('b')])).toEqual({ firstSequence: 1, lastSequence: 1 });
    failures.push('sync', 'sync');
    await expect(log.append([stored('lost too')])).rejects.toThrow("the partition's log failed");
    await expect(log.append([stored('c')])).rejects.toThrow('takes no more events');
    expect(log.failure).toBeDefined();
    // What was acknowledged can still be read, and is there after a restart, with at most what nobody was told of.
    expect((await log.read(0, 10, 1000)).map(({ bare }) => bare.toString())).toEqual(['a', 'b']);
    const again = await PartitionLog.open(disk, optionsFor(model));
    const after = (await again.read(0, 10, 1000)).map(({ bare }) => bare.toString());
    expect(after.slice(0, 2)).toEqual(['a', 'b']);
    expect(after.length).toBeLessThanOrEqual(3);
  });
});
