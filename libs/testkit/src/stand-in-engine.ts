import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

/** The command by which Batch tasks run this file: a valid bundle in milliseconds, with made-up numbers. */
export const standInEngineCommand = `${process.execPath} --disable-warning=ExperimentalWarning ${fileURLToPath(import.meta.url)}`;

interface Control {
  /** Exit code of a task's executions, in turn; after the list is used up it succeeds. */
  readonly exits?: Readonly<Record<string, readonly number[]>>;
  /** Milliseconds that each task takes. */
  readonly workMs?: number;
  /** Folder on this machine where executions are counted, since each has a working directory of its own. */
  readonly counters?: string;
  readonly reject?: readonly string[];
}

type Json = Record<string, unknown>;
const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
const readJson = (path: string): Json => JSON.parse(readFileSync(path, 'utf8')) as Json;

/** One USTAR archive (POSIX.1-1988) of plain files. */
export function tarOf(files: ReadonlyMap<string, Buffer>): Buffer {
  const blocks: Buffer[] = [];
  for (const [name, data] of files) {
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write('0000644\0', 100);
    header.write('0000000\0', 108);
    header.write('0000000\0', 116);
    header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write('0', 156);
    header.write('ustar\0', 257);
    header.write('00', 263);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    blocks.push(header, data, Buffer.alloc((512 - (data.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** Entries of such an archive, in order. */
export function untar(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0;) {
    const name = archive.toString('utf8', at, at + 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(archive.toString('utf8', at + 124, at + 135), 8);
    files.set(name, archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

const engine = {
  name: 'stand-in',
  version: '1',
  runner: '1',
  python: 'none',
  platform: 'test',
  cpuModel: 'test',
  imageDigest: null,
};

/** A number that follows from the netting set alone. */
function valueOf(id: string): number {
  return (Number.parseInt(sha256(id).slice(0, 6), 16) % 10_000) / 8;
}

export function shardBundle(
  task: Json,
  bundleId: string,
  reject: readonly string[] = [],
  version = engine.version,
): Buffer {
  const sets = (task['nettingSets'] as string[]).filter((id) => !reject.includes(id));
  const rejections = (task['nettingSets'] as string[])
    .filter((id) => reject.includes(id))
    .map((nettingSetId) => ({ nettingSetId, tradeId: null, code: 'npv-error', message: `${nettingSetId} has no NPV` }));
  const cells = Buffer.from(JSON.stringify(sets.map((id) => [id, valueOf(id)])));
  const kind = task['trades'] === undefined ? 'shard' : 'cube';
  return bundleOf(task, bundleId, kind, sets, rejections, new Map([['cells.json', cells]]), [], version);
}

function bundleOf(
  task: Json,
  bundleId: string,
  kind: 'shard' | 'cube' | 'merge',
  nettingSets: readonly string[],
  rejections: readonly Json[],
  files: ReadonlyMap<string, Buffer>,
  inputs: readonly Json[],
  version = engine.version,
): Buffer {
  const { runId, eventId, attempt, taskId, packageId, sharedInputHash } = task;
  const info = {
    schemaVersion: '1.0',
    bundleId,
    kind,
    ...{ runId, eventId, attempt, taskId, packageId, sharedInputHash },
    nettingSets,
    ...(kind === 'cube' ? { trades: task['trades'] } : {}),
    rejections,
    warnings: [],
    engine: { ...engine, version },
    files: [...files].map(([path, data]) => ({ path, size: data.length, sha256: sha256(data), rows: null })),
    inputs,
    timings: {},
  };
  return tarOf(new Map([['bundle.json', Buffer.from(JSON.stringify(info))], ...files]));
}

/** @param archives the accepted bundles by task id */
export function mergeBundle(
  task: Json,
  manifest: Json,
  archives: ReadonlyMap<string, Buffer>,
  bundleId: string,
  /** Writes a total that does not add up. */
  wrongTotal = false,
  version = engine.version,
): Buffer {
  const used = (task['bundles'] as Json[]).map(({ taskId, bundleId: id, sha256: hash }) => {
    const archive = archives.get(String(taskId)) ?? Buffer.alloc(0);
    if (sha256(archive) !== hash) throw new Error(`bundle of ${String(taskId)} is not the one that was named`);
    return { taskId, bundleId: id, sha256: hash };
  });
  const infos = [...archives.values()].map((archive) => {
    const files = untar(archive);
    return {
      info: JSON.parse((files.get('bundle.json') ?? '').toString()) as Json,
      cells: JSON.parse((files.get('cells.json') ?? '').toString()) as [string, number][],
    };
  });
  const rejections = infos.flatMap(({ info }) => info['rejections'] as Json[]);
  const values = new Map(infos.flatMap(({ cells }) => cells));
  const packaged = manifest['nettingSets'] as Json[];
  const measures = (npv: number) => ({ npv, cva: npv / 2, dva: npv / 4, fba: 1, fca: 2, fva: -1 });
  const nettingSets = packaged
    .filter((set) => values.has(String(set['id'])))
    .map((set) => ({
      id: set['id'],
      counterparty: set['counterparty'],
      collateralised: set['collateralised'],
      trades: (set['trades'] as unknown[]).length,
      ...measures(values.get(String(set['id'])) ?? 0),
      colva: set['collateralised'] === true ? 0 : null,
      baselEpe: 1,
      baselEepe: 1,
      peakPfe: 1,
    }));
  const total = (name: 'npv' | 'cva' | 'dva' | 'fba' | 'fca' | 'fva') =>
    nettingSets.reduce((sum, set) => sum + set[name], wrongTotal && name === 'cva' ? 1 : 0);
  const { requestKey, asOf, samples, seed, quantile, gridDates } = manifest;
  const published = nettingSets.length;
  const summary = {
    schemaVersion: '1.0',
    ...{ runId: task['runId'], eventId: task['eventId'], packageId: task['packageId'] },
    ...{ requestKey, asOf, currency: manifest['baseCurrency'] },
    outcome: rejections.length === 0 ? 'complete' : 'partial',
    ...{ samples, seed, quantile, gridDates },
    totals: {
      ...{ npv: total('npv'), cva: total('cva'), dva: total('dva') },
      ...{ fba: total('fba'), fca: total('fca'), fva: total('fva'), colva: null },
    },
    nettingSets,
    coverage: {
      nettingSets: { requested: packaged.length, published },
      trades: { requested: packaged.length, published },
      grossNotional: { requested: '1', published: '1' },
      absNpv: { published: total('npv') },
    },
    rejections,
    warnings: [],
    engine,
    shards: used,
  };
  const files = new Map([
    ['summary.json', Buffer.from(JSON.stringify(summary))],
    ['tables/xva.csv', Buffer.from([...values].map(([id, value]) => `${id},${value}`).join('\n'))],
  ]);
  const ids = nettingSets.map((set) => String(set.id));
  return bundleOf(task, bundleId, 'merge', ids, rejections, files, used, version);
}

function countExecution(folder: string, name: string): number {
  for (let count = 0; ; count += 1) {
    try {
      mkdirSync(join(folder, `${name}-${count}`));
      return count;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { task: { type: 'string' }, root: { type: 'string' }, out: { type: 'string' } },
  });
  const root = values.root ?? '.';
  const out = values.out ?? 'out';
  const bundleId = randomUUID();
  const task = readJson(values.task ?? 'task.json');
  mkdirSync(join(out, 'logs'), { recursive: true });
  const progress = (phase: string, done: number, total: number): void =>
    writeFileSync(
      join(out, 'progress.json'),
      JSON.stringify({ schemaVersion: '1.0', phase, done, total, updatedAt: new Date().toISOString() }),
    );
  writeFileSync(join(out, 'logs', 'ore.log'), `engine log of ${String(task['taskId'])}\n`);
  let control: Control = {};
  if (positionals[0] === 'run') {
    for (const { path, sha256: wanted } of task['parts'] as { path: string; sha256: string }[]) {
      if (sha256(readFileSync(join(root, path))) !== wanted) throw new Error(`${path} has another hash`);
    }
    control = readJson(join(root, 'Input/control.json'));
  }
  progress('simulation', 1, 4);
  await new Promise((resolve) => setTimeout(resolve, control.workMs ?? 0));
  const exits = control.exits?.[String(task['taskId'])] ?? [];
  const turn =
    control.counters === undefined
      ? 0
      : countExecution(control.counters, `${String(task['runId'])}-${String(task['taskId'])}`);
  const exitCode = exits[turn] ?? 0;
  const report = (code: number, message: string): void =>
    writeFileSync(
      join(out, `report-${bundleId}.json`),
      JSON.stringify({
        schemaVersion: '1.0',
        ...{ runId: task['runId'], attempt: task['attempt'], taskId: task['taskId'] },
        exitCode: code,
        exitClass: code === 0 ? 'success' : 'failure',
        message,
        rejections: [],
        bundleId: code === 0 ? bundleId : null,
      }),
    );
  if (exitCode !== 0) {
    report(exitCode, `the stand-in was told to fail with ${exitCode}`);
    process.stderr.write(`the stand-in was told to fail with ${exitCode}\n`);
    return exitCode;
  }
  const archive =
    positionals[0] === 'run'
      ? shardBundle(task, bundleId, control.reject)
      : mergeBundle(
          task,
          readJson(join(root, String(task['manifestPath']))),
          new Map(
            (task['bundles'] as Json[]).map((one) => [
              String(one['taskId']),
              readFileSync(join(root, String(one['path']))),
            ]),
          ),
          bundleId,
        );
  writeFileSync(join(out, `bundle-${bundleId}.tar`), archive);
  report(0, 'done');
  progress('done', 1, 1);
  process.stdout.write(`success: ${String(task['taskId'])}\n`);
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
