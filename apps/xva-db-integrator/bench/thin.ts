import { randomUUID } from 'node:crypto';
import { pollOnce, type DetectDeps } from '@xva/flow-detect';
import { silentLogger, systemClock } from '@xva/runtime';
import { OutboxSource, parseDefinitions, sessionSql, SqlConnection, SqlPool } from '@xva/sql-polling';
import { sqlSimulatorLogin } from '@xva/testkit';

export interface Thin {
  readonly rowsPerSecond: number;
  /** The same statements of the same pages with nothing between them. */
  readonly floorRowsPerSecond: number;
  /** Heap after a collection, MiB, after a tenth of the rows and after all. */
  readonly heapAtTenthMiB: number;
  readonly heapAtEndMiB: number;
}

const floorRows = 2_000;

function heapMiB(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/**
 * Rows without details through the flow itself, store and hub in memory: what claiming, reading, freezing and completing
 * a row costs beside the database. `insert` commits so many rows.
 */
export async function drainThin(
  simulator: { readonly host: string; readonly port: number },
  insert: (count: number) => Promise<unknown>,
  rows: number,
): Promise<Thin> {
  const pool = new SqlPool(
    () =>
      SqlConnection.connect({
        ...sqlSimulatorLogin,
        host: simulator.host,
        port: simulator.port,
        encrypt: 'false',
        trustServerCertificate: false,
        connectTimeoutMs: 15_000,
        requestTimeoutMs: 15_000,
        deadlineMs: 60_000,
        sessionSql: sessionSql(2_000),
        appName: 'thin',
      }),
    8,
  );
  const [definition] = parseDefinitions(
    'version: 1\ndefinitions: [{ name: thin, mode: outbox, batchSize: 500 }]\n',
    'thin.yaml',
  );
  if (definition?.mode !== 'outbox') throw new Error('not an outbox');
  const source = new OutboxSource({
    runner: pool,
    definition,
    owner: 'thin',
    newToken: randomUUID,
    logger: silentLogger,
  });
  const deps: DetectDeps = {
    definition: 'thin',
    source,
    store: { putIfAbsent: () => Promise.resolve('created'), get: () => Promise.resolve(undefined) },
    publisher: { publish: () => Promise.resolve() },
    clock: systemClock,
    random: Math.random,
    logger: silentLogger,
    leaseMs: 60_000,
    blame: () => 'row',
    crashPoint: () => undefined,
  };
  const floor = async (): Promise<number> => {
    await insert(floorRows);
    const began = performance.now();
    for (let left = floorRows; left > 0;) {
      const { claimed } = await source.claim(500);
      if (claimed.length === 0) throw new Error('the table has fewer rows than were inserted');
      await Promise.all(claimed.map((one) => source.readDetails(one)));
      await Promise.all(claimed.map((one) => source.complete(one, one.requestId.padStart(32, '0'))));
      left -= claimed.length;
    }
    return (floorRows * 1000) / (performance.now() - began);
  };
  const page = Math.max(500, rows / 10);
  await floor();
  const floorRowsPerSecond = await floor();
  let done = 0;
  let busyMs = 0;
  let heapAtTenthMiB = 0;
  try {
    while (done < rows) {
      await insert(page);
      const began = performance.now();
      for (let left = page; left > 0;) {
        const polled = await pollOnce(deps, { limit: 500, concurrency: 250, stopTaking: new AbortController().signal });
        const bad = polled.rows.find((row) => row.outcome !== 'published');
        if (bad !== undefined || polled.rows.length === 0)
          throw new Error(`thin row: ${JSON.stringify(bad ?? polled)}`);
        left -= polled.rows.length;
      }
      busyMs += performance.now() - began;
      done += page;
      if (heapAtTenthMiB === 0) heapAtTenthMiB = heapMiB();
    }
  } finally {
    pool.close();
  }
  return { rowsPerSecond: (done * 1000) / busyMs, floorRowsPerSecond, heapAtTenthMiB, heapAtEndMiB: heapMiB() };
}
