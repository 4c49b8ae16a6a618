import { randomUUID } from 'node:crypto';
import { startSqlServerSimulator } from '../src/index.ts';
import { type Address, Client } from './client.ts';

export interface TestServer {
  readonly address: Address;
  /** False when MSSQL_URL names a real server. */
  readonly simulated: boolean;
  /** Resolves when some session waits for a lock. */
  untilWaiting(): Promise<void>;
  stop(): Promise<void>;
}

/** `mssql://user:password@host:port` of a real server that the contract suites should run against instead. */
const realUrl = process.env['MSSQL_URL'];

export const simulated = realUrl === undefined || realUrl === '';

async function startSimulated(): Promise<TestServer> {
  const simulator = await startSqlServerSimulator();
  return {
    address: { ...simulator, host: '127.0.0.1', database: 'xva' },
    simulated: true,
    untilWaiting: async () => {
      for (;;) {
        const answer = await fetch(`http://127.0.0.1:${simulator.controlPort}/control/sessions`, { method: 'POST' });
        if (((await answer.json()) as { waits: unknown[] }).waits.length > 0) return;
      }
    },
    stop: () => simulator.stop(),
  };
}

/** A database of its own on the real server, dropped at the end. */
async function startReal(url: URL): Promise<TestServer> {
  const database = `xva_contract_${randomUUID().slice(0, 8)}`;
  const address = {
    host: url.hostname,
    port: Number(url.port || '1433'),
    login: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
  };
  const admin = await Client.open({ ...address, database: 'master' });
  await admin.query(`CREATE DATABASE ${database}`);
  return {
    address,
    simulated: false,
    untilWaiting: async () => {
      for (;;)
        if (
          Number(await admin.value('SELECT COUNT(*) AS n FROM sys.dm_exec_requests WHERE blocking_session_id <> 0')) > 0
        )
          return;
    },
    stop: async () => {
      await admin.query(
        `ALTER DATABASE ${database} SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE ${database}`,
      );
      await admin.close();
    },
  };
}

/** The server that the contract suites speak to: the simulator, or the one named by MSSQL_URL. */
export async function startServer(): Promise<TestServer> {
  return simulated ? startSimulated() : startReal(new URL(realUrl ?? ''));
}
