import { runPaths, type RunRecord } from '@xva/contracts';
import type { BatchPort, WorkStorage } from '@xva/flow-submit';
import type { Principal } from '../auth/principal.ts';
import { withinSize, type ByteRange } from '../http/byte-range.ts';
import { notFound, ProblemError } from '../http/problems.ts';
import type { RunService } from './runs.ts';

const files = {
  stdout: { node: 'stdout.txt', stored: 'stdout.txt' },
  stderr: { node: 'stderr.txt', stored: 'stderr.txt' },
  engine: { node: 'wd/out/logs/ore.log', stored: 'engine/ore.log' },
} as const;
export type LogName = keyof typeof files;
export const logNames = Object.keys(files) as [LogName, ...LogName[]];

export interface LogPart {
  readonly source: 'node' | 'storage';
  readonly attempt: number;
  readonly stream: AsyncIterable<Uint8Array>;
  /** What is given, when it is a part; `size` undefined = it is being written, its end is not known. */
  readonly range: { readonly first: number; readonly last: number; readonly size: number | undefined } | undefined;
}

const windowBytes = 1024 * 1024;
/** A log on a node is read from its beginning to know its end: no further than this. */
const maxNodeBytes = 64 * windowBytes;

/** Logs of tasks: from the node while it is there, since only it has what is being written; else from Storage. */
export class LogService {
  readonly #runs: Pick<RunService, 'get'>;
  readonly #batch: Pick<BatchPort, 'readTaskFile'>;
  readonly #work: Pick<WorkStorage, 'runContainer'>;

  constructor(
    runs: Pick<RunService, 'get'>,
    batch: Pick<BatchPort, 'readTaskFile'>,
    work: Pick<WorkStorage, 'runContainer'>,
  ) {
    this.#runs = runs;
    this.#batch = batch;
    this.#work = work;
  }

  /** @throws ProblemError 404, or 416 for a range behind the end */
  async read(
    place: {
      readonly runId: string;
      readonly taskId: string;
      readonly log: LogName;
      readonly attempt?: number | undefined;
    },
    range: ByteRange | undefined,
    principal: Principal,
  ): Promise<LogPart> {
    const { runId, taskId, log } = place;
    const { record } = await this.#runs.get(runId, principal);
    const attempt = place.attempt ?? attemptOf(record, taskId);
    const entry = record.attempts.find((one) => one.attempt === attempt);
    const nothing = notFound(`${log} of ${taskId} in attempt ${attempt} of run ${runId}`);
    if (entry === undefined) throw nothing;
    const { node, stored } = files[log];
    const window = (offset: number) =>
      this.#batch.readTaskFile(entry.jobId, taskId, node, { offset, count: windowBytes });
    const first = range !== undefined && 'first' in range ? range.first : 0;
    const start = await window(first);
    if (start !== undefined) return { source: 'node', attempt, ...(await fromNode(range, first, start, window)) };
    const blob = `${runPaths.taskLogs(attempt, taskId)}/${stored}`;
    const part = await this.#fromStorage(record.container, blob, range);
    if (part === undefined) throw nothing;
    return { source: 'storage', attempt, ...part };
  }

  async #fromStorage(
    container: string,
    blob: string,
    range: ByteRange | undefined,
  ): Promise<Pick<LogPart, 'stream' | 'range'> | undefined> {
    const blobs = this.#work.runContainer(container);
    let size: number | undefined;
    for await (const found of blobs.list(blob)) if (found.name === blob) ({ size } = found);
    if (size === undefined) return undefined;
    const wanted = range === undefined ? undefined : withinSize(range, size);
    if (range !== undefined && wanted === undefined) throw notSatisfiable(size);
    if (size === 0) return { stream: empty(), range: undefined };
    const opened = await blobs.openRead(
      blob,
      wanted?.first,
      wanted === undefined ? undefined : wanted.last - wanted.first + 1,
    );
    if (opened === undefined) return undefined;
    const stream = opened.stream as AsyncIterable<Buffer>;
    return { stream, range: wanted === undefined ? undefined : { ...wanted, size } };
  }
}

type Window = (offset: number) => Promise<Uint8Array | undefined>;

/** Windows one after the other until the file's present end, or `last`. */
async function* windows(first: number, start: Uint8Array, last: number, next: Window): AsyncGenerator<Uint8Array> {
  let offset = first;
  for (let bytes: Uint8Array | undefined = start; bytes !== undefined && bytes.length > 0;) {
    const left = last - offset + 1;
    yield bytes.subarray(0, left);
    offset += bytes.length;
    if (bytes.length < windowBytes || offset > last || offset - first >= maxNodeBytes) return;
    bytes = await next(offset);
  }
}

async function fromNode(
  range: ByteRange | undefined,
  first: number,
  start: Uint8Array,
  next: Window,
): Promise<Pick<LogPart, 'stream' | 'range'>> {
  const end = Number.MAX_SAFE_INTEGER;
  if (range === undefined) return { stream: windows(0, start, end, next), range: undefined };
  if ('first' in range) {
    if (start.length === 0) throw notSatisfiable(undefined);
    // How far it goes must stand in the header before the body: one window is given, the client asks for the next.
    const last = Math.min(range.last ?? end, first + start.length - 1);
    return { stream: one(start.subarray(0, last - first + 1)), range: { first, last, size: undefined } };
  }
  let tail = Buffer.alloc(0);
  let size = 0;
  for await (const bytes of windows(0, start, end, next)) {
    size += bytes.length;
    tail = Buffer.concat([tail, bytes]).subarray(-Math.min(range.lastBytes, windowBytes));
  }
  if (tail.length === 0 || range.lastBytes === 0) throw notSatisfiable(size);
  return { stream: one(tail), range: { first: size - tail.length, last: size - 1, size: undefined } };
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

async function* empty(): AsyncGenerator<Uint8Array> {
  // Nothing to give.
}

function notSatisfiable(size: number | undefined): ProblemError {
  return new ProblemError(416, 'range-behind-end', `the log has ${size ?? 'not yet so many'} bytes`, {
    headers: { 'content-range': `bytes */${size ?? 0}` },
  });
}

/** The attempt whose log is meant when none is named: the one that gave the accepted bundle, else the latest that has the task. */
function attemptOf(record: RunRecord, taskId: string): number {
  if (taskId === 'merge') return record.merged?.attempt ?? record.attempt;
  const accepted = record.accepted.find((bundle) => bundle.taskId === taskId)?.attempt;
  return accepted ?? record.attempts.findLast((one) => one.tasks.includes(taskId))?.attempt ?? record.attempt;
}
