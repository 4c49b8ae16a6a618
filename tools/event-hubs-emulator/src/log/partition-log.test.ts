import fc from 'fast-check';
import type { StoredEvent } from '../events/stored-event.ts';
import { MemoryDirectory, type SegmentFile } from './directory.ts';
import { PartitionLog, type LogOptions } from './partition-log.ts';
import { CorruptLogError } from './segment.ts';

const options: LogOptions = { now: () => 1000, segmentBytes: 1500, retentionMs: Infinity, retentionBytes: Infinity };

function event(text: string): StoredEvent {
  return { header: Buffer.alloc(0), annotationCount: 0, annotations: Buffer.alloc(0), bare: Buffer.from(text) };
}

async function texts(log: PartitionLog): Promise<string[]> {
  const found: string[] = [];
  let next = log.info.beginSequence;
  for (;;) {
    const events = await log.read(next, 7, 400);
    if (events.length === 0) return found;
    for (const { sequence, bare } of events) {
      expect(sequence).toBe(next);
      next += 1;
      found.push(bare.toString());
    }
  }
}

/** The files as they were at a moment; later writes do not touch them. */
function snapshot(directory: MemoryDirectory): MemoryDirectory {
  const copy = new MemoryDirectory();
  for (const [name, bytes] of directory.files) copy.files.set(name, Buffer.from(bytes));
  return copy;
}

function lastFile(directory: MemoryDirectory): readonly [string, Buffer] {
  return [...directory.files].sort(([a], [b]) => (a < b ? -1 : 1)).at(-1)!;
}

const publications = fc.array(fc.array(fc.string({ maxLength: 120 }), { minLength: 1, maxLength: 5 }), {
  minLength: 1,
  maxLength: 25,
});

describe('partition log', () => {
  it('recovers to the acknowledged publications whatever is cut from an unacknowledged tail', async () => {
    await fc.assert(
      fc.asyncProperty(publications, publications, fc.nat(), fc.boolean(), async (kept, lost, cut, zeros) => {
        const directory = new MemoryDirectory();
        const log = await PartitionLog.open(directory, options);
        for (const publication of kept) await log.append(publication.map(event));
        const [name, committed] = lastFile(snapshot(directory));
        // One more group commit, of which any part may have reached the disk.
        await Promise.all(lost.map((publication) => log.append(publication.map(event))));
        const torn = snapshot(directory);
        for (const file of torn.files.keys()) if (file > name) torn.files.delete(file);
        const written = torn.files.get(name)!;
        const length = committed.length + (cut % (written.length - committed.length + 1));
        const tail = Buffer.from(written.subarray(0, length));
        torn.files.set(name, zeros ? Buffer.concat([tail, Buffer.alloc(200)]) : tail);

        const recovered = await PartitionLog.open(torn, options);
        const found = await texts(recovered);
        const acknowledged = kept.flat();
        expect(found.slice(0, acknowledged.length)).toEqual(acknowledged);
        // What survives beyond it are whole publications, in order.
        const rest = found.slice(acknowledged.length);
        const whole = lost.map((_, index) => lost.slice(0, index).flat().length).concat(lost.flat().length);
        expect(whole).toContain(rest.length);
        expect(rest).toEqual(lost.flat().slice(0, rest.length));

        const receipt = await recovered.append([event('next')]);
        expect(receipt.firstSequence).toBe(found.length);
        expect(await texts(await PartitionLog.open(snapshot(torn), options))).toEqual([...found, 'next']);
      }),
      { numRuns: 150 },
    );
  });

  it('never silently loses an acknowledged event to a flipped byte', async () => {
    await fc.assert(
      fc.asyncProperty(publications, fc.nat(), fc.integer({ min: 1, max: 255 }), async (kept, at, mask) => {
        const directory = new MemoryDirectory();
        const log = await PartitionLog.open(directory, options);
        for (const publication of kept) await log.append(publication.map(event));
        const before = await texts(log);
        const damaged = snapshot(directory);
        const names = [...damaged.files.keys()].sort();
        const name = names[at % names.length]!;
        const bytes = damaged.files.get(name)!;
        const position = at % bytes.length;
        bytes.writeUInt8(bytes.readUInt8(position) ^ mask, position);
        const asDamaged = snapshot(damaged);
        let found: string[];
        try {
          found = await texts(await PartitionLog.open(damaged, options));
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptLogError);
          // Refused means untouched: somebody may still want to repair it.
          expect(damaged.files).toEqual(asDamaged.files);
          return;
        }
        // Only the last commit cannot be told from a torn tail; the header's reserved bytes mean nothing.
        const last = kept.at(-1)!.length;
        expect([before.length, before.length - last]).toContain(found.length);
        expect(found).toEqual(before.slice(0, found.length));
      }),
      { numRuns: 150 },
    );
  });

  it('refuses a damaged end of an older segment, which is no torn tail, and leaves it as it is', async () => {
    const directory = new MemoryDirectory();
    const log = await PartitionLog.open(directory, options);
    for (let index = 0; index < 30; index += 1) await log.append([event(`${index}-${'x'.repeat(100)}`)]);
    const damaged = snapshot(directory);
    const first = damaged.files.get([...damaged.files.keys()].sort()[0]!)!;
    first.writeUInt8(0, first.length - 1);
    const asDamaged = snapshot(damaged);
    await expect(PartitionLog.open(damaged, options)).rejects.toThrow('a later segment exists');
    expect(damaged.files).toEqual(asDamaged.files);
  });

  it('finds positions by offset and time across segments', async () => {
    let nowMs = 0;
    const directory = new MemoryDirectory();
    const log = await PartitionLog.open(directory, { ...options, now: () => nowMs });
    for (let index = 0; index < 60; index += 1) {
      nowMs = index * 10;
      await log.append([event(`${index}-${'x'.repeat(100)}`)]);
    }
    expect(directory.files.size).toBeGreaterThan(3);
    const reopened = await PartitionLog.open(snapshot(directory), options);
    for (const each of [log, reopened]) {
      const all = [];
      for (let next = 0; next < 60; next += 1) all.push(...(await each.read(next, 1, 1)));
      for (const { sequence, offset } of all) {
        expect(await each.find({ kind: 'offset', offset, inclusive: false })).toBe(sequence + 1);
        expect(await each.find({ kind: 'offset', offset, inclusive: true })).toBe(sequence);
        expect(await each.find({ kind: 'time', unixMs: sequence * 10, inclusive: true })).toBe(sequence);
        expect(await each.find({ kind: 'time', unixMs: sequence * 10 + 5, inclusive: false })).toBe(sequence + 1);
      }
      expect(await each.find({ kind: 'offset', offset: -1, inclusive: false })).toBe(0);
      expect(await each.find({ kind: 'latest' })).toBe(60);
    }
  });

  it('shows nothing before it is durable, and after a failed write goes on from the last commit', async () => {
    const directory = new MemoryDirectory();
    const gate = Promise.withResolvers<undefined>();
    let failing = false;
    class GatedDirectory extends MemoryDirectory {
      override async create(name: string, first: Buffer): Promise<SegmentFile> {
        const file = await directory.create(name, first);
        const append = file.append.bind(file);
        file.append = async (bytes) => {
          await append(bytes);
          if (failing) throw new Error('EIO');
          await gate.promise;
        };
        return file;
      }
    }
    const log = await PartitionLog.open(new GatedDirectory(), options);
    const commits: number[] = [];
    log.onCommit(() => commits.push(log.info.lastSequence));
    const first = log.append([event('a')]);
    const second = log.append([event('b'), event('c')]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(log.info.lastSequence).toBe(-1);
    expect(await log.read(0, 10, 1000)).toEqual([]);
    gate.resolve(undefined);
    expect(await first).toEqual({ firstSequence: 0, lastSequence: 0 });
    expect(await second).toEqual({ firstSequence: 1, lastSequence: 2 });
    // Both waited together, so both went to disk together.
    expect(commits).toEqual([2]);
    failing = true;
    await expect(log.append([event('lost')])).rejects.toThrow('EIO');
    failing = false;
    await log.append([event('d')]);
    expect(await texts(await PartitionLog.open(snapshot(directory), options))).toEqual(['a', 'b', 'c', 'd']);
  });
});
