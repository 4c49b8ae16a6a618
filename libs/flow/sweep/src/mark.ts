import { canonicalHash, runIdOfContainer } from '@xva/contracts';
import { decide } from './decide.ts';
import { PinSet, RunGraph } from './graph.ts';
import {
  lookAtBlobs,
  lookAtContainers,
  lookAtKeptLogs,
  lookAtLetters,
  lookAtObjects,
  lookAtQuarantine,
  lookAtRequests,
  lookAtRuns,
  type Looked,
  type Survey,
} from './inventory.ts';
import { lookAtJobs, lookAtSchedules } from './inventory-batch.ts';
import type { MarkedItem, SweepReport, Verdict } from './items.ts';
import type { SweepPolicy } from './policy.ts';
import type { SweepDeps } from './ports.ts';
import { readLabels } from './quarantine.ts';
import { reportCsv, reportHtml } from './report-text.ts';

/** Items of a page: what a sweep does between two notes of how far it is. */
export const pageItems = 1_000;
const hoursPerMonth = 730;

/** Everything the collector looks at, one by one, each with the facts that decide it. What owns comes before what is owned. */
export async function* inventory(survey: Survey): AsyncGenerator<Looked> {
  for (const look of [
    lookAtRuns,
    lookAtJobs,
    lookAtSchedules,
    lookAtContainers,
    lookAtKeptLogs,
    lookAtRequests,
    lookAtLetters,
    lookAtBlobs,
    lookAtObjects,
    lookAtQuarantine,
  ]) {
    yield* look(survey);
    survey.deps.crashPoint?.('page-listed');
  }
}

/** Bytes in a container, so that the report tells what a run's end frees. */
async function containerBytes(deps: SweepDeps, container: string): Promise<number> {
  let bytes = 0;
  for await (const page of deps.storage.list({ account: 'work', container }, { split: 'folders' }))
    for (const blob of page) bytes += blob.size;
  return bytes;
}

/** A text of its own: a slice would keep the whole page alive that it was read from. */
const flat = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');

async function toMarked(deps: SweepDeps, { item, tasks = 0 }: Looked, verdict: Verdict): Promise<MarkedItem> {
  if (item.kind === 'foreign' || verdict.rule === null) throw new TypeError('only judged items can be marked');
  const blob = 'etag' in item ? item : undefined;
  const container = item.kind === 'run' ? item.record.container : item.kind === 'run-container' ? item.id : undefined;
  const labels = item.kind === 'quarantined' ? readLabels(item.metadata) : undefined;
  const ofContainer = labels === undefined ? undefined : runIdOfContainer(labels.container);
  const runId = 'runId' in item ? item.runId : (ofContainer ?? blob?.metadata['xva_run_id']);
  return {
    kind: item.kind,
    id: flat(item.id),
    rule: verdict.rule,
    reason: item.kind === 'task' ? `${verdict.reason}: ${item.detail}` : verdict.reason,
    action: verdict.action,
    etag: blob === undefined ? null : flat(blob.etag),
    bytes: blob?.size ?? (container === undefined ? 0 : await containerBytes(deps, container)),
    tasks: item.kind === 'pool' ? 0 : tasks,
    ...('place' in item ? { place: item.place } : {}),
    ...(runId === undefined ? {} : { runId }),
  };
}

/** Counts and pages of one report while it is made. Memory: one page, and one line per class and reason. */
class ReportWriter {
  readonly #deps: SweepDeps;
  readonly #reportId: string;
  readonly #kept: Record<string, number> = {};
  readonly #classes: Record<string, { items: number; bytes: number; tasks: number }> = {};
  #page: MarkedItem[] = [];
  #nodes = 0;
  pages = 0;
  looked = 0;

  constructor(deps: SweepDeps, reportId: string) {
    this.#deps = deps;
    this.#reportId = reportId;
  }

  keep(kind: string, reason: string): void {
    const name = `${kind}:${reason}`;
    this.#kept[name] = (this.#kept[name] ?? 0) + 1;
  }

  async mark(item: MarkedItem, nodes: number): Promise<void> {
    const total = (this.#classes[item.kind] ??= { items: 0, bytes: 0, tasks: 0 });
    total.items += 1;
    total.bytes += item.bytes;
    total.tasks += item.tasks;
    this.#nodes += nodes;
    this.#page.push(item);
    if (this.#page.length === pageItems) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#page.length === 0) return;
    await this.#deps.ledger.savePage(this.#reportId, this.pages, this.#page);
    this.pages += 1;
    this.#page = [];
  }

  finish(policy: SweepPolicy, markedAt: Date, notes: readonly string[]): SweepReport {
    const totals = { items: 0, bytes: 0, tasks: 0 };
    for (const total of Object.values(this.#classes)) {
      totals.items += total.items;
      totals.bytes += total.bytes;
      totals.tasks += total.tasks;
    }
    const { prices } = policy;
    const perMonth =
      prices === undefined
        ? 0
        : (totals.bytes / 1024 ** 3) * prices.gibMonth + this.#nodes * hoursPerMonth * prices.nodeHour;
    return {
      schemaVersion: '1.1',
      reportId: this.#reportId,
      policy: policy.name,
      policyHash: policyHashOf(policy),
      environment: policy.environment ?? null,
      markedAt: markedAt.toISOString(),
      looked: this.looked,
      kept: this.#kept,
      totals,
      classes: this.#classes,
      saved: prices === undefined ? null : { currency: prices.currency, perMonth: Math.round(perMonth * 100) / 100 },
      notes: [...notes],
      pages: this.pages,
    };
  }
}

/** The pages of a stored report, one after the other. */
export async function* reportPages(
  ledger: SweepDeps['ledger'],
  report: Pick<SweepReport, 'reportId' | 'pages'>,
  from = 0,
): AsyncGenerator<readonly MarkedItem[]> {
  for (let page = from; page < report.pages; page += 1) yield ledger.loadPage(report.reportId, page);
}

/** The facts on which a policy is judged: everything there is, with pins and records as they are now. */
export async function survey(deps: SweepDeps, policy: SweepPolicy): Promise<Survey> {
  return { deps, policy, graph: new RunGraph(deps), pins: await PinSet.load(deps.pins), notes: [] };
}

export interface MarkOptions {
  /** Hears of every item, for a recording. */
  readonly onLooked?: ((looked: Looked, at: Date) => void) | undefined;
}

/**
 * Looks at everything, decides, and stores the report: pages of items, their CSV and HTML, and last the summary that makes
 * it count. Takes nothing.
 */
export async function mark(
  deps: SweepDeps,
  policy: SweepPolicy,
  reportId: string,
  options: MarkOptions = {},
): Promise<SweepReport> {
  const { ledger, clock, logger } = deps;
  const writer = new ReportWriter(deps, reportId);
  const surveyed = await survey(deps, policy);
  // The age of a report counts from the first look.
  const markedAt = clock.now();
  for await (const looked of inventory(surveyed)) {
    writer.looked += 1;
    options.onLooked?.(looked, clock.now());
    const verdict = decide(looked.item, looked.facts, policy, clock.now());
    deps.crashPoint?.('decision-made');
    if (verdict.verdict === 'keep') writer.keep(looked.item.kind, verdict.reason);
    else await writer.mark(await toMarked(deps, looked, verdict), looked.item.kind === 'pool' ? looked.item.nodes : 0);
  }
  await writer.flush();
  const report = writer.finish(policy, markedAt, surveyed.notes);
  await ledger.saveDocument(reportId, 'csv', reportCsv(reportPages(ledger, report)));
  await ledger.saveDocument(reportId, 'html', reportHtml(report, reportPages(ledger, report)));
  deps.crashPoint?.('mark-written');
  await ledger.saveReport(report);
  const { looked, totals } = report;
  logger.info({ reportId, looked, marked: totals.items, bytes: totals.bytes, tasks: totals.tasks }, 'marked');
  return report;
}

/** A report counts only under the policy that made it. */
export function policyHashOf(policy: SweepPolicy): string {
  return canonicalHash(
    JSON.parse(JSON.stringify(policy, (_key, value: unknown) => (typeof value === 'number' ? String(value) : value))),
  );
}
