import {
  isLive,
  ledgerContainers,
  letterStates,
  runIdOfContainer,
  workContainers,
  type LetterState,
  type RunRecord,
} from '@xva/contracts';
import { decide } from './decide.ts';
import { Newest, type PinSet, type RunGraph } from './graph.ts';
import { keptLogs, type BlobOwnFacts, type BlobPlace, type SweepFacts, type SweepItem } from './items.ts';
import type { BlobRule, SweepPolicy } from './policy.ts';
import type { BlobFactsLike, SweepDeps } from './ports.ts';
import { quarantinePlace, readLabels } from './quarantine.ts';

export interface Looked {
  readonly item: SweepItem;
  readonly facts: SweepFacts;
  readonly tasks?: number;
}

export interface Survey {
  readonly deps: SweepDeps;
  readonly policy: SweepPolicy;
  readonly graph: RunGraph;
  readonly pins: PinSet;
  /** What could not be looked at; nothing of it is marked. */
  readonly notes: string[];
}

export const noFacts: SweepFacts = { runState: 'none', pinned: false, referenced: false };

/** State and pin of the run that owns something, read now; `none` when no record exists. */
export async function runFacts(deps: Pick<SweepDeps, 'runs' | 'pins'>, runId: string | undefined): Promise<SweepFacts> {
  if (runId === undefined) return noFacts;
  const [found, pinned] = await Promise.all([deps.runs.get(runId), deps.pins.has('run', runId)]);
  return { ...noFacts, runState: found?.record.state ?? 'none', pinned };
}

/**
 * The facts of a run, asked for only when the item would go without them: most are kept by their age alone.
 * Not for things that a run's record would make *more* takeable.
 */
export async function factsIfNeeded(survey: Survey, item: SweepItem, runId: string | undefined): Promise<SweepFacts> {
  const { deps, policy } = survey;
  if (decide(item, noFacts, policy, deps.clock.now()).verdict === 'keep') return noFacts;
  return runFacts(deps, runId);
}

export function blobOf(blob: BlobFactsLike, id = blob.name): BlobOwnFacts {
  const { size, etag, lastModified, metadata, hold } = blob;
  return { id, size, etag, lastModified: lastModified.toISOString(), metadata, hold };
}

/** A frozen request's run, by the event id in its name. */
export function eventIdOf(blob: string): string | undefined {
  return /^([0-9a-f]{32})\.json$/.exec(blob)?.[1];
}

/** Unknown states count as waiting: such a letter is kept the longest. */
export function letterStateOf(metadata: Readonly<Record<string, string>>): LetterState {
  const state = metadata['xva_letter_state'] ?? metadata['state'];
  return letterStates.find((known) => known === state) ?? 'waiting';
}

async function newestRuns({
  deps,
  policy,
}: Survey): Promise<{ runs: Newest | undefined; results: Newest | undefined }> {
  const [keepRuns, keepResults] = [policy.rules.runs?.keepLastPerBook, policy.rules.results?.keepLastPerBook];
  const runs = keepRuns === undefined ? undefined : new Newest(keepRuns);
  const results = keepResults === undefined ? undefined : new Newest(keepResults);
  if (runs === undefined && results === undefined) return { runs, results };
  for await (const { record } of deps.runs.list()) {
    const time = record.finishedAt;
    if (isLive(record.state) || time === null) continue;
    if (record.state !== 'swept') runs?.see(record.requestKey.book, time);
    if (record.outcome === 'complete' || record.outcome === 'partial') results?.see(record.requestKey.book, time);
  }
  return { runs, results };
}

/** Run records, and with each what its run left that has a life of its own (logs, published results). */
export async function* lookAtRuns(survey: Survey): AsyncGenerator<Looked> {
  const { deps, policy, graph, pins } = survey;
  const newest = await newestRuns(survey);
  const started = deps.clock.now();
  for await (const { record } of deps.runs.list()) {
    await graph.add(record, pins.has('run', record.runId));
    const now = deps.clock.now();
    const facts: SweepFacts = { runState: record.state, pinned: pins.has('run', record.runId), referenced: false };
    const item: SweepItem = {
      kind: 'run',
      id: record.runId,
      record,
      published: true,
      newest: newest.runs?.has(record.requestKey.book, record.finishedAt ?? '') ?? false,
    };
    const verdict = decide(item, facts, policy, now);
    // Whether the result is published is asked only when all else says that the run may go.
    const published =
      verdict.verdict === 'keep' || record.state !== 'done' || (await deps.storage.hasPublishedResult(record.runId));
    yield { item: { ...item, published }, facts, tasks: record.plan.shards.length };
    const goes = verdict.verdict === 'mark' && published;
    if (!goes) yield* lookAtLogs(survey, record, facts);
    if (record.state === 'swept') {
      const keepNewest = newest.results?.has(record.requestKey.book, record.finishedAt ?? '') ?? false;
      yield* lookAtResults(survey, record, facts, keepNewest);
    }
  }
  graph.lookedNow(started);
}

/** In a run's container: attempt, task, then what it logged. */
export function isRunLog(name: string): boolean {
  return /^a\d+\/[^/]+\/logs\//.test(name);
}

async function* lookAtLogs({ deps, policy }: Survey, record: RunRecord, facts: SweepFacts): AsyncGenerator<Looked> {
  const { logs, runs } = policy.rules;
  const ended = !isLive(record.state) && record.finishedAt !== null && !['sweeping', 'swept'].includes(record.state);
  if (logs === undefined || runs === undefined || logs.retainSeconds >= runs.retainSeconds || !ended) return;
  if (deps.clock.now().getTime() - Date.parse(record.finishedAt ?? '') < logs.retainSeconds * 1000) return;
  const place: BlobPlace = { account: 'work', container: record.container };
  for await (const page of deps.storage.list(place, { split: 'folders' })) {
    for (const blob of page) {
      if (!isRunLog(blob.name)) continue;
      const own = blobOf(blob, `${place.container}/${blob.name}`);
      yield {
        item: { kind: 'log', ...own, place, runId: record.runId, newest: false, over: record.finishedAt },
        facts,
      };
    }
  }
}

async function* lookAtResults(
  { deps, policy }: Survey,
  record: RunRecord,
  facts: SweepFacts,
  newest: boolean,
): AsyncGenerator<Looked> {
  const rule = policy.rules.results;
  if (rule === undefined || (rule.keepLastPerBook !== undefined && newest)) return;
  const place: BlobPlace = { account: 'ledger', container: ledgerContainers.results };
  for await (const page of deps.storage.list(place, { prefix: `${record.runId}/` })) {
    for (const blob of page) {
      const own = blobOf(blob, `${place.container}/${blob.name}`);
      yield { item: { kind: 'result', ...own, place, runId: record.runId, newest, over: record.finishedAt }, facts };
    }
  }
}

/** Containers of runs; those that no record knows may go. */
export async function* lookAtContainers(survey: Survey): AsyncGenerator<Looked> {
  for await (const { name, lastModified, metadata } of survey.deps.storage.listRunContainers()) {
    const runId = runIdOfContainer(name);
    if (runId === undefined) yield { item: { kind: 'foreign', id: name, where: 'containers' }, facts: noFacts };
    else {
      const item: SweepItem = {
        kind: 'run-container',
        id: name,
        runId,
        lastModified: lastModified.toISOString(),
        metadata,
      };
      yield { item, facts: await factsIfNeeded(survey, item, runId) };
    }
  }
}

/** Logs that outlived their run's container. */
export async function* lookAtKeptLogs({ deps, policy, pins }: Survey): AsyncGenerator<Looked> {
  if (policy.rules.logs === undefined) return;
  for await (const page of deps.storage.list(keptLogs, { split: 'folders' })) {
    for (const blob of page) {
      const runId = blob.metadata['xva_run_id'] ?? blob.name.split('/')[0] ?? '';
      const own = blobOf(blob, `${keptLogs.container}/${blob.name}`);
      const over = blob.metadata['xva_over'] ?? null;
      const facts: SweepFacts = { runState: 'swept', pinned: pins.has('run', runId), referenced: false };
      yield { item: { kind: 'log', ...own, place: keptLogs, runId, newest: false, over }, facts };
    }
  }
}

export async function* lookAtRequests(survey: Survey): AsyncGenerator<Looked> {
  const { deps, graph, pins } = survey;
  const place: BlobPlace = { account: 'work', container: workContainers.requests };
  for await (const page of deps.storage.list(place, { split: 'hex' })) {
    for (const blob of page) {
      const eventId = eventIdOf(blob.name);
      if (eventId === undefined) yield { item: { kind: 'foreign', id: blob.name, where: 'requests' }, facts: noFacts };
      else {
        const runId = blob.metadata['xva_run_id'];
        const pinned = pins.has('run', runId) || pins.has('blob', `${place.container}/${blob.name}`);
        // A record that is kept; which state it has does not matter.
        const facts: SweepFacts = { runState: graph.keepsEvent(eventId) ? 'done' : 'none', pinned, referenced: false };
        yield { item: { kind: 'request', ...blobOf(blob) }, facts };
      }
    }
  }
}

export async function* lookAtLetters({ deps, pins }: Survey): AsyncGenerator<Looked> {
  const place: BlobPlace = { account: 'ledger', container: ledgerContainers.deadLetters };
  for await (const page of deps.storage.list(place, { split: 'hex' })) {
    for (const blob of page) {
      const pinned = pins.has('blob', `${place.container}/${blob.name}`);
      const item: SweepItem = { kind: 'dead-letter', ...blobOf(blob), state: letterStateOf(blob.metadata) };
      yield { item, facts: { ...noFacts, pinned } };
    }
  }
}

/** Shared objects, last: what the records need was gathered before, and what was uploaded meanwhile is young. */
export async function* lookAtObjects({ deps, graph, pins, notes }: Survey): AsyncGenerator<Looked> {
  const [blind] = graph.blind;
  if (blind !== undefined) {
    notes.push(
      `objects are not judged: run ${blind.runId} is kept but its manifest objects/${blind.packageId} is gone`,
    );
    deps.logger.warn(blind, 'objects are not judged: a manifest is missing');
  }
  const place: BlobPlace = { account: 'work', container: workContainers.objects };
  for await (const page of deps.storage.list(place, { split: 'hex' })) {
    for (const blob of page) {
      if (!/^[0-9a-f]{64}$/.test(blob.name)) {
        yield { item: { kind: 'foreign', id: blob.name, where: 'objects' }, facts: noFacts };
        continue;
      }
      const pinned = pins.has('blob', `${place.container}/${blob.name}`);
      const facts: SweepFacts = { runState: 'none', pinned, referenced: graph.isReferenced(blob.name) };
      yield { item: { kind: 'object', ...blobOf(blob) }, facts };
    }
  }
}

export async function* lookAtQuarantine(survey: Survey): AsyncGenerator<Looked> {
  const { deps, pins } = survey;
  for await (const page of deps.storage.list(quarantinePlace, { split: 'folders' })) {
    for (const blob of page) {
      const item: SweepItem = { kind: 'quarantined', ...blobOf(blob) };
      const pinned =
        pins.has('blob', `${quarantinePlace.container}/${blob.name}`) || (await isForPinned(deps, pins, blob.metadata));
      yield { item, facts: { ...noFacts, pinned } };
    }
  }
}

/** Whether a copy in quarantine is of something that is pinned and not there: a swept run's container, or a blob. */
export async function isForPinned(
  deps: Pick<SweepDeps, 'runs' | 'storage'>,
  pins: PinSet,
  metadata: Readonly<Record<string, string>>,
): Promise<boolean> {
  const labels = readLabels(metadata);
  if (labels === undefined) return false;
  const { account, container, name } = labels;
  const runId = runIdOfContainer(container) ?? metadata['xva_run_id'];
  if (runId !== undefined && pins.has('run', runId)) return (await deps.runs.get(runId))?.record.state === 'swept';
  return (
    pins.has('blob', `${container}/${name}`) && (await deps.storage.head({ account, container }, name)) === undefined
  );
}

/** A blob under one of the policy's own rules. */
export function ruledBlob(rule: BlobRule, blob: BlobFactsLike, newest: boolean): SweepItem {
  const place: BlobPlace = { account: rule.account, container: rule.container };
  return {
    kind: 'blob',
    ...blobOf(blob, `${place.container}/${blob.name}`),
    place,
    rule,
    tags: blob.tags ?? {},
    lastAccessed: blob.lastAccessed?.toISOString(),
    newest,
  };
}

export async function* lookAtBlobs(survey: Survey): AsyncGenerator<Looked> {
  const { deps, policy, pins } = survey;
  for (const rule of policy.blobs) {
    const place: BlobPlace = { account: rule.account, container: rule.container };
    const listing = { prefix: rule.prefix, split: 'folders' as const, tags: rule.tags !== undefined };
    const newest = rule.keepLastPerBook === undefined ? undefined : new Newest(rule.keepLastPerBook);
    if (newest !== undefined) {
      for await (const page of deps.storage.list(place, listing)) {
        for (const blob of page) newest.see(blob.metadata['xva_book'] ?? '', blob.lastModified.toISOString());
      }
    }
    for await (const page of deps.storage.list(place, listing)) {
      for (const blob of page) {
        const book = blob.metadata['xva_book'] ?? '';
        const item = ruledBlob(rule, blob, newest?.has(book, blob.lastModified.toISOString()) ?? false);
        const runId = blob.metadata['xva_run_id'];
        const facts =
          rule.runStates === undefined ? await factsIfNeeded(survey, item, runId) : await runFacts(deps, runId);
        yield { item, facts: { ...facts, pinned: facts.pinned || pins.has('blob', item.id) } };
      }
    }
  }
}
