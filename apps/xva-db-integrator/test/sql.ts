import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { sqlSimulatorLogin, type SqlSimulatorProcess } from '@xva/testkit';
import { Connection, Request } from 'tedious';

/** A connection of the test's own, outside the integrator's pool. */
export interface TestSql {
  run(batch: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  close(): void;
}

export async function openSql(simulator: SqlSimulatorProcess): Promise<TestSql> {
  const { user, password, database } = sqlSimulatorLogin;
  const connection = new Connection({
    server: simulator.host,
    authentication: { type: 'default', options: { userName: user, password } },
    options: { port: simulator.port, database, encrypt: false, trustServerCertificate: true },
  });
  await new Promise<void>((resolve, reject) => {
    connection.connect((error) => (error ? reject(error) : resolve()));
  });
  let last: Promise<unknown> = Promise.resolve();
  const run = (batch: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
    new Promise((resolve, reject) => {
      const rows: Record<string, unknown>[] = [];
      const request = new Request(batch, (error) => (error ? reject(error) : resolve(rows)));
      request.on('row', (cells: { value: unknown; metadata: { colName: string } }[]) => {
        rows.push(Object.fromEntries(cells.map(({ value, metadata }) => [metadata.colName, value])));
      });
      connection.execSqlBatch(request);
    });
  return {
    run: (batch) => {
      const next = last.then(() => run(batch));
      last = next.catch(() => undefined);
      return next;
    },
    close: () => connection.close(),
  };
}

const schema = fileURLToPath(new URL('../../../tools/lab/sql/', import.meta.url));

export async function applySchema(sql: TestSql): Promise<void> {
  for (const file of ['01-schema.sql', '02-snapshot.sql']) {
    for (const batch of readFileSync(`${schema}${file}`, 'utf8').split(/^GO\s*$/m)) {
      if (batch.trim() !== '') await sql.run(batch);
    }
  }
}
