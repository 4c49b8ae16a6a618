import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ControllerClient } from './api.ts';
import type { LabLayout } from './layout.ts';
import { LabSql, type BookRows } from './load-book.ts';

const execute = promisify(execFile);

/** What it takes to ask a lab for a run, also from a second terminal. */
export interface LabAccess {
  readonly layout: LabLayout;
  readonly api: ControllerClient;
  connectSql(): Promise<LabSql>;
}

export function controllerOf(layout: LabLayout): ControllerClient {
  return new ControllerClient(`http://127.0.0.1:${layout.ports.controller}`, layout.secrets.operatorKey);
}

export async function connectLabSql(layout: LabLayout): Promise<LabSql> {
  return LabSql.connect({
    host: '127.0.0.1',
    port: layout.ports.sql,
    database: 'xva',
    user: 'xva_lab',
    password: layout.secrets.sqlPassword,
  });
}

const sampleBooks = ['demo', 'small'];

/**
 * The rows of a sample book, as the engine's package prints them; `DEMO`, as its rows are called, is `demo`.
 *
 * @throws Error for a book that is no sample
 */
export async function sampleRows(name: string): Promise<BookRows> {
  const book = name.toLowerCase();
  if (!sampleBooks.includes(book))
    throw new Error(`no sample book is called ${name}; there are ${sampleBooks.join(', ')}`);
  const { stdout } = await execute('xva-engine', ['sample', '--book', book, '--format', 'rows-json'], {
    maxBuffer: 256 * 1024 * 1024,
  });
  return JSON.parse(stdout) as BookRows;
}
