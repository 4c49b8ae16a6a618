import { BatchAdapter } from '@xva/azure-batch';
import { formatRequestKey, jobIdOf, parseJobId, resultPaths } from '@xva/contracts';
import { batchAccountName } from './layout.ts';
import { requestState, type RequestRow } from './load-book.ts';
import { compareTables, numbersOf, type Results } from './numbers.ts';
import type { Session } from './session.ts';
import { identityOf, keyOf, withSql } from './undeterred.ts';

/** Ids of the Batch jobs that were opened for a run. */
export async function jobsOf(session: Session, runId: string): Promise<readonly string[]> {
  const batch = new BatchAdapter({
    endpoint: `http://127.0.0.1:${session.layout.ports.batch}`,
    accountName: batchAccountName,
    accountKey: session.layout.secrets.batchKey,
  });
  try {
    const ids: string[] = [];
    for await (const job of batch.listJobs()) if (parseJobId(job.id)?.runId === runId) ids.push(job.id);
    return ids.sort();
  } finally {
    batch.close();
  }
}

/** Names of the bundles under a run's results: one when it was published once. */
async function publishedBundles(session: Session, runId: string): Promise<ReadonlySet<string>> {
  const bundles = new Set<string>();
  for await (const { name } of session.ledger.container('results').list(`${runId}/`)) {
    if (name !== resultPaths.pointer(runId)) bundles.add(name.split('/')[1] ?? name);
  }
  return bundles;
}

/**
 * What is wrong with what became of some request rows: every row is published, has exactly one run, with one job per
 * attempt, done and complete, published from one bundle, with the expected numbers.
 */
export async function historyFaults(
  session: Session,
  requests: readonly RequestRow[],
  expected: Results,
): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const request of requests) {
    const found = await rowFaults(session, request, expected);
    faults.push(...found.map((fault) => `${formatRequestKey(keyOf(request))}: ${fault}`));
  }
  return faults;
}

/** Runs of the requests' books that nobody asked for, and dead letters: what a campaign of good requests never leaves. */
export async function strayFaults(session: Session, requests: readonly RequestRow[]): Promise<readonly string[]> {
  const faults: string[] = [];
  const asked = new Set(requests.map((request) => identityOf(request).runId));
  for (const book of new Set(requests.map((request) => request.book))) {
    for (const { runId } of await session.api.listRuns(book)) {
      if (!asked.has(runId)) faults.push(`book ${book}: run ${runId} was never asked for`);
    }
  }
  for await (const { name } of session.ledger.container('deadletters').list()) faults.push(`dead letter ${name}`);
  return faults;
}

async function rowFaults(session: Session, request: RequestRow, expected: Results): Promise<readonly string[]> {
  const { eventId, runId } = identityOf(request);
  const faults: string[] = [];
  const row = await withSql(session, async (sql) => {
    const [found] = await sql.query(
      'SELECT RequestId FROM xva.RunRequest WHERE Book = @p0 AND AsOf = @p1 AND Cut = @p2 AND Scenario = @p3 AND Revision = @p4',
      [request.book, request.asOf, request.cut, request.scenario, request.revision],
    );
    return found === undefined ? undefined : requestState(sql, String(found['RequestId']));
  });
  if (row?.state !== 'published' || row.eventId !== eventId) {
    faults.push(
      `row is ${row?.state ?? 'absent'} with event ${row?.eventId ?? 'none'}: ${row?.lastError ?? 'no error'}`,
    );
  }
  const runs = (await session.api.listRuns(request.book)).filter((run) => run.eventId === eventId);
  const [run] = runs;
  if (run === undefined || runs.length > 1) return [...faults, `${runs.length} runs`];
  if (run.state !== 'done' || run.outcome !== 'complete') {
    const reasons = run.reasons.map((reason) => `${reason.code} ${reason.subject}: ${reason.message}`);
    return [...faults, `run ${runId} is ${run.state} ${run.outcome ?? ''} ${reasons.join('; ')}`];
  }
  const jobs = await jobsOf(session, runId);
  const wanted = Array.from({ length: run.attempt }, (_, index) => jobIdOf(runId, index + 1));
  if (jobs.join() !== wanted.join()) faults.push(`jobs ${jobs.join(', ')}, not ${wanted.join(', ')}`);
  const results = await session.api.results(runId);
  const bundles = await publishedBundles(session, runId);
  if (bundles.size !== 1 || !bundles.has(results.published.bundleId)) {
    faults.push(`published from ${results.published.bundleId}, results hold ${[...bundles].join(', ')}`);
  }
  const [found, wantedNumbers] = [numbersOf(results), numbersOf(expected)];
  if (found !== wantedNumbers) faults.push(`numbers differ: ${found}, not ${wantedNumbers}`);
  const tables = await compareTables(session, expected.published, results.published);
  if (tables !== undefined) faults.push(`tables differ: ${tables}`);
  return faults;
}
