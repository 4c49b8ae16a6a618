import { join } from 'node:path';
import { runContainerOf, type ResultSummary } from '@xva/contracts';
import { compareWithUnsharded } from './control-run.ts';
import { formatHops } from './hops.ts';
import { insertRequest, type RequestRow } from './load-book.ts';
import { seedOrphans } from './orphans.ts';
import { formatDuration, formatXva } from './report.ts';
import { deliverAgain, requestRun, type FollowedRun } from './request.ts';
import type { Session } from './session.ts';

export interface DemoCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface DemoOptions {
  readonly book: 'demo' | 'small';
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** The whole promise in one go. Every check is told; the demo is good only if all of them held. */
export async function runDemo(session: Session, options: DemoOptions): Promise<readonly DemoCheck[]> {
  const { print } = options;
  const checks: DemoCheck[] = [];
  const check = (name: string, ok: boolean, detail: string): void => {
    checks.push({ name, ok, detail });
    print(`${ok ? 'ok  ' : 'FAIL'} ${name}: ${detail}`);
  };
  const rows = await session.loadSample(options.book);
  const request = rows.requests[0];
  if (request === undefined) throw new Error('the sample book has no request');
  print(
    `sample book ${request.book}: ${rows.trades.length} trades in ${rows.nettingSets.length} netting sets, ${rows.quotes.length} quotes, ${rows.fixings.length} fixings`,
  );

  print('\n— one row becomes published numbers —');
  const first = await requestRun(session, request, options);
  check(
    'the request became a published result',
    first.run.state === 'done' && first.run.outcome === 'complete',
    describe(first),
  );
  if (first.run.state !== 'done') return checks;
  const { published, summary } = await session.api.results(first.runId);
  print(`\n${formatXva(summary)}\n`);
  print(`time per hop:\n${formatHops(first.hops)}\n`);
  printPlaces(session, first, summary, print);

  print('\n— the same package in one piece, without Batch —');
  const folder = join(session.layout.folder, 'control');
  const control = await compareWithUnsharded({ work: session.work, runId: first.runId, published, folder });
  check(
    'sharded equals unsharded to the last bit',
    control.equal,
    `${control.text.split('\n')[0] ?? ''} (unsharded engine run: ${formatDuration(control.engineSeconds * 1000)})`,
  );

  print('\n— the same request again —');
  await checkRepeats(session, request, first, check);

  print('\n— the next revision is a new run —');
  const next = await requestRun(
    session,
    { ...request, revision: request.revision + 1, samples: Math.min(request.samples, 200) },
    options,
  );
  const states = `${next.runId} ${next.run.state}`;
  check('the next revision became a new run', next.runId !== first.runId && next.run.state === 'done', states);

  print('\n— the collector —');
  await checkSweep(session, [first, next], check, print);
  return checks;
}

function describe({ runId, run }: FollowedRun): string {
  const reasons = run.reasons.map((reason) => `${reason.code} ${reason.subject}: ${reason.message}`).join('; ');
  return `${runId} ${run.state} ${run.outcome ?? ''} ${reasons}`.trim();
}

function printPlaces(
  session: Session,
  first: FollowedRun,
  summary: ResultSummary,
  print: (line: string) => void,
): void {
  print(`results   ${session.ledger.container('results').url()}/${first.runId}/published.json`);
  print(`logs      ${session.work.container(runContainerOf(first.runId)).url()}/a1/<task>/logs`);
  print(`package   ${session.work.container('objects').url()}/${summary.packageId} (manifest; its parts beside it)`);
  print(`processes ${join(session.layout.folder, 'logs')}`);
}

type Report = (name: string, ok: boolean, detail: string) => void;

async function checkRepeats(session: Session, request: RequestRow, first: FollowedRun, check: Report): Promise<void> {
  const sql = await session.connectSql();
  const refused = await insertRequest(sql, request).then(
    () => 'a second row was taken',
    (error: unknown) => ((error as { number?: number }).number === 2627 ? '' : String(error)),
  );
  sql.close();
  check('a second row with the same key is refused by the table', refused === '', refused || 'error 2627');
  const before = await session.eventsDone();
  await deliverAgain(session, first.requestId);
  await session.untilEventsDone(before + 1);
  const runs = await session.api.listRuns(request.book);
  const now = runs.find((run) => run.runId === first.runId);
  const ok = runs.length === 1 && now?.version === first.run.version;
  check(
    'the event delivered again made no second run',
    ok,
    `${runs.length} run, version ${now?.version ?? 0} as before`,
  );
}

async function checkSweep(
  session: Session,
  fresh: readonly FollowedRun[],
  check: Report,
  print: (line: string) => void,
): Promise<void> {
  const packageId = fresh[0]?.run.packageId ?? '';
  const seeded = await seedOrphans(session, packageId);
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  const report = (await session.verb('xva-batch-gc', 'mark')) as {
    reportId: string;
    looked: number;
    items: { kind: string; id: string }[];
  };
  const marked = report.items.map((item) => `${item.kind} ${item.id}`).sort();
  const exactly = JSON.stringify(marked) === JSON.stringify([...seeded].sort());
  check(
    'dry run marks exactly what the lab seeded',
    exactly,
    `${marked.length} of ${report.looked} items: ${exactly ? 'as seeded' : marked.join(', ')}`,
  );
  const outcome = (await session.verb('xva-batch-gc', 'sweep', report.reportId, '--yes')) as {
    acts: { kind: string; id: string; outcome: string; reason: string }[];
  };
  for (const act of outcome.acts) print(`  ${act.outcome} ${act.kind} ${act.id}: ${act.reason}`);
  const swept = outcome.acts.filter((act) => act.outcome === 'swept').length;
  check('the sweep took exactly these', swept === seeded.length, `${swept} swept`);
  const stranger = await session.work.container('objects').head('not-ours.txt');
  check("a stranger's blob stayed", stranger !== undefined, 'objects/not-ours.txt');
  for (const { runId, run } of fresh) {
    const { summary } = await session.api.results(runId);
    const container = await session.work.container(runContainerOf(runId)).exists();
    const manifest = await session.work.container('objects').head(run.packageId);
    check(
      `fresh run ${runId} stayed`,
      container && manifest !== undefined && summary.runId === runId,
      'results, container and package are there',
    );
  }
}
