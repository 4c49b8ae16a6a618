import { createHash, type Hash } from 'node:crypto';
import { PassThrough, Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { bundleSchema, parseContractText, type AcceptedBundle, type Bundle, type RunRecord } from '@xva/contracts';
import { extract, type Extract } from 'tar-stream';
import { BundleError } from './errors.ts';
import type { Blobs } from './ports.ts';
import { plannedSets } from './plan-sets.ts';

type Entry = Extract extends AsyncIterable<infer Item> ? Item : never;

const maxDescriptionBytes = 16 * 1024 * 1024;
/** Files up to this size are handed over whole, so that several can be stored at a time; larger ones are streamed. */
const wholeFileBytes = 4 * 1024 * 1024;

export interface BundleVisitor {
  /** May run while the next file is read. */
  readonly whole: (path: string, bytes: Buffer) => Promise<void>;
  /** The stream must be read to its end. A wrong hash is found only then: what was stored must not be pointed to. */
  readonly streamed: (path: string, stream: Readable) => Promise<void>;
}

export interface ReadBundle {
  readonly bundle: Bundle;
  readonly sha256: string;
  readonly size: number;
}

async function readAll(entry: Entry, limit: number, fail: (problem: string) => BundleError): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of entry as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw fail(`${entry.header.name} is larger than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Writes a source into the reader as fast as it takes it. */
async function feed(source: NodeJS.ReadableStream, tar: Extract, seen: (chunk: Buffer) => void): Promise<void> {
  for await (const chunk of source as AsyncIterable<Buffer>) {
    if (tar.destroyed) throw new Error('the reader stopped');
    seen(chunk);
    if (!tar.write(chunk)) {
      await new Promise<void>((resolve, reject) => {
        const closed = (): void => reject(new Error('the reader stopped'));
        tar.once('drain', () => {
          tar.off('close', closed);
          resolve();
        });
        tar.once('close', closed);
      });
    }
  }
  tar.end(undefined);
}

/** Counts and hashes what flows through. */
function hashing(hash: Hash, counted: { size: number }): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      counted.size += chunk.length;
      done(null, chunk);
    },
  });
}

/**
 * Reads a bundle once from front to back: `bundle.json` is its first entry, every other entry is listed there with size
 * and SHA-256, and nothing is missing. Memory is bounded whatever its size.
 *
 * @throws BundleError for anything else.
 */
export async function readBundle(
  name: string,
  source: NodeJS.ReadableStream,
  visitor?: BundleVisitor,
): Promise<ReadBundle> {
  const fail = (problem: string): BundleError => new BundleError(name, problem);
  const total = { size: 0 };
  const hash = createHash('sha256');
  const tar = extract();
  const feeding = feed(source, tar, (chunk) => {
    hash.update(chunk);
    total.size += chunk.length;
  });
  feeding.catch((error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))));
  const visits: Promise<void>[] = [];
  let bundle: Bundle | undefined;
  const missing = new Map<string, Bundle['files'][number]>();
  try {
    for await (const entry of tar) {
      const { name: path, type } = entry.header;
      if (type !== 'file') throw fail(`entry ${path} is no plain file`);
      if (bundle === undefined) {
        if (path !== 'bundle.json') throw fail(`its first entry is ${path}, not bundle.json`);
        const text = (await readAll(entry, maxDescriptionBytes, fail)).toString('utf8');
        bundle = parseContractText(bundleSchema, text, `bundle.json of ${name}`);
        for (const file of bundle.files) missing.set(file.path, file);
        continue;
      }
      const listed = missing.get(path);
      if (listed === undefined) throw fail(`entry ${path} is not listed in bundle.json, or comes twice`);
      missing.delete(path);
      await readFile(entry, listed, visits, visitor, fail);
    }
    await feeding;
    await Promise.all(visits);
  } catch (error) {
    await Promise.allSettled(visits);
    tar.destroy();
    if (error instanceof BundleError || !(error instanceof Error)) throw error;
    // Only what the tar reader itself says is the bundle's fault: a store's error may speak of headers too.
    const ofTheTar =
      error.name === 'Error' &&
      /^(invalid tar header|invalid header|header exceeds|unexpected end of data)/i.test(error.message);
    if (error.name === 'ContractError' || ofTheTar) throw fail(error.message);
    throw error;
  }
  if (bundle === undefined) throw fail('it is empty');
  const [lost] = missing.keys();
  if (lost !== undefined) throw fail(`${lost} is listed in bundle.json and missing`);
  return { bundle, sha256: hash.digest('hex'), size: total.size };
}

async function readFile(
  entry: Entry,
  listed: Bundle['files'][number],
  visits: Promise<void>[],
  visitor: BundleVisitor | undefined,
  fail: (problem: string) => BundleError,
): Promise<void> {
  const { path } = listed;
  const hash = createHash('sha256');
  const counted = { size: 0 };
  if (visitor === undefined) {
    for await (const chunk of entry as AsyncIterable<Buffer>) {
      hash.update(chunk);
      counted.size += chunk.length;
    }
  } else if (entry.header.size <= wholeFileBytes) {
    const bytes = await readAll(entry, wholeFileBytes, fail);
    hash.update(bytes);
    counted.size = bytes.length;
    if (bytes.length === listed.size && hash.copy().digest('hex') === listed.sha256) {
      const visit = visitor.whole(path, bytes);
      visit.catch(() => undefined);
      visits.push(visit);
    }
  } else {
    const stream = new PassThrough();
    await Promise.all([
      pipeline(Readable.from(entry as AsyncIterable<Buffer>), hashing(hash, counted), stream),
      visitor.streamed(path, stream),
    ]);
  }
  if (counted.size !== listed.size || hash.digest('hex') !== listed.sha256) {
    throw fail(`${path} is not what bundle.json says`);
  }
}

type Planned = Partial<Pick<RunRecord['plan']['shards'][number], 'nettingSets' | 'trades'>>;

function checkIdentity(
  name: string,
  bundle: Bundle,
  record: RunRecord,
  attempt: number,
  taskId: string,
  planned: Planned,
): void {
  const covered = [...new Set([...bundle.nettingSets, ...bundle.rejections.map((item) => item.nettingSetId)])].sort();
  const wanted: Readonly<Record<string, readonly [unknown, unknown]>> = {
    kind: [bundle.kind, taskId === 'merge' ? 'merge' : planned.trades === undefined ? 'shard' : 'cube'],
    runId: [bundle.runId, record.runId],
    eventId: [bundle.eventId, record.eventId],
    attempt: [bundle.attempt, attempt],
    taskId: [bundle.taskId, taskId],
    packageId: [bundle.packageId, record.packageId],
    sharedInputHash: [bundle.sharedInputHash, record.plan.sharedInputHash],
    trades: [[...(bundle.trades ?? [])].sort().join(','), [...(planned.trades ?? [])].sort().join(',')],
    ...(taskId === 'merge'
      ? {}
      : { nettingSets: [covered.join(','), [...(planned.nettingSets ?? [])].sort().join(',')] }),
  };
  for (const [what, [found, expected]] of Object.entries(wanted)) {
    if (found !== expected) throw new BundleError(name, `${what} is ${String(found)}, expected ${String(expected)}`);
  }
  if (taskId !== 'merge') return;
  const used = bundle.inputs
    .map((input) => `${input.taskId} ${input.bundleId} ${input.sha256}`)
    .sort()
    .join(',');
  const given = record.accepted
    .map((one) => `${one.taskId} ${one.bundleId} ${one.sha256}`)
    .sort()
    .join(',');
  if (used !== given) throw new BundleError(name, `it merged ${used}, expected ${given}`);
  const wholePlan = new Set(plannedSets(record));
  const absent = [...wholePlan].find((set) => !covered.includes(set));
  if (absent !== undefined) throw new BundleError(name, `it neither has nor rejects netting set ${absent}`);
}

/**
 * Finds the bundle of a task that succeeded in an attempt and checks that it is one: the run's, the package's,
 * with the planned netting sets. Several executions may have left one each; the first valid one by name counts.
 *
 * @returns undefined when there is none.
 * @throws BundleError when there are some and none is valid.
 */
export async function findBundle(
  container: Blobs,
  record: RunRecord,
  attempt: number,
  taskId: string,
): Promise<AcceptedBundle | undefined> {
  const planned: Planned = record.plan.shards.find((shard) => shard.taskId === taskId) ?? {};
  const names: string[] = [];
  for await (const { name } of container.list(`a${attempt}/${taskId}/`)) {
    if (/\/bundle-[0-9a-f-]{36}\.tar$/.test(name)) names.push(name);
  }
  let problem: BundleError | undefined;
  for (const name of names.sort()) {
    const opened = await container.openRead(name);
    if (opened === undefined) continue;
    try {
      const { bundle, sha256, size } = await readBundle(name, opened.stream);
      checkIdentity(name, bundle, record, attempt, taskId, planned);
      if (!name.endsWith(`/bundle-${bundle.bundleId}.tar`))
        throw new BundleError(name, `it says it is ${bundle.bundleId}`);
      const { name: engine, version, runner } = bundle.engine;
      return {
        taskId,
        attempt,
        bundleId: bundle.bundleId,
        blob: name,
        sha256,
        size,
        engine: `${engine} ${version}, runner ${runner}`,
        cpuSeconds: bundle.timings['engine.cpu'] ?? null,
        pricingSeconds: pricingOf(bundle.timings),
      };
    } catch (error) {
      if (!(error instanceof BundleError)) throw error;
      problem ??= error;
    }
  }
  if (problem !== undefined) throw problem;
  return undefined;
}

/** The runner's `pricing.<trade type>` by trade type. */
function pricingOf(timings: Bundle['timings']): Record<string, number> {
  const prefix = 'pricing.';
  const own = Object.entries(timings).filter(([name, seconds]) => name.startsWith(prefix) && seconds >= 0);
  return Object.fromEntries(own.map(([name, seconds]) => [name.slice(prefix.length), seconds]));
}
