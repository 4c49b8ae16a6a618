import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BlobAccount } from '@xva/azure-storage';
import { ledgerContainers, workContainers } from '@xva/contracts';
import { connectLabSql, controllerOf, sampleRows } from './access.ts';
import type { ControllerClient } from './api.ts';
import { Children, processStartTime, type ChildEvent } from './children.ts';
import {
  appArgs,
  appNames,
  appSpec,
  outsideSpecs,
  writeAppConfigs,
  type AppName,
  type LabOptions,
} from './components.ts';
import { openLayout, repositoryRoot, storageConnectionString, type LabLayout } from './layout.ts';
import { loadBook, type BookRows, type LabSql } from './load-book.ts';

const execute = promisify(execFile);

/** A lab is already running in this folder, or something that the lab needs said no. */
export class LabError extends Error {
  override readonly name = 'LabError';
}

export interface SessionOptions extends LabOptions {
  readonly folder: string;
  /** Forget what an earlier lab left in the folder. */
  readonly fresh: boolean;
  readonly without?: readonly AppName[];
  readonly print: (line: string) => void;
}

/** `03-rights.sql` is for a real server's DBA: the simulator has one login. */
const sqlFiles = ['01-schema.sql', '02-snapshot.sql'];

/** Polling in the lab: a window without end in practice, hot while rows come. */
const definitions = `version: 1
definitions:
  - name: run-requests
    mode: outbox
    schedule: { cron: '* * * * *', timezone: UTC }
    window: { lengthMs: 60000, minDelayMs: 20, maxDelayMs: 50, until: windowEnd }
`;

/** What the lab lets the collector take: nothing that the demo still needs is ever 20 years old or without a record. */
export const labPolicy = {
  schemaVersion: '1.0',
  name: 'lab',
  minimumAgeSeconds: 1,
  reportMaxAgeSeconds: 600,
  ceiling: { items: 1000, bytes: 1_000_000_000, percent: 90 },
  rules: {
    runs: { retainSeconds: 86_400 },
    orphanedRuns: { retainSeconds: 1 },
    leakedJobs: { retainSeconds: 86_400 },
    objects: { retainSeconds: 1 },
    requests: { retainSeconds: 1 },
    deadLetters: { retainSeconds: 1 },
  },
};

/** Everything on this machine: the outside world's stand-ins, the input API and the four components. */
export class Session {
  readonly layout: LabLayout;
  readonly children: Children;
  readonly api: ControllerClient;
  readonly work: BlobAccount;
  readonly ledger: BlobAccount;
  readonly configs: Readonly<Record<AppName, string>>;
  readonly #options: SessionOptions;

  private constructor(layout: LabLayout, options: SessionOptions, notify: (event: ChildEvent) => void) {
    this.layout = layout;
    this.#options = options;
    this.children = new Children(layout.folder, notify);
    this.api = controllerOf(layout);
    this.work = new BlobAccount({ connectionString: storageConnectionString(layout, 'work') });
    this.ledger = new BlobAccount({ connectionString: storageConnectionString(layout, 'ledger') });
    const file = (name: string, text: string): string => {
      const path = join(layout.folder, name);
      writeFileSync(path, text);
      return path;
    };
    this.configs = writeAppConfigs(layout, options, {
      definitions: file('polling.yaml', definitions),
      policy: file('policy.json', JSON.stringify(labPolicy, null, 2)),
    });
  }

  /** @throws LabError when another lab uses the folder. */
  static async open(options: SessionOptions, notify: (event: ChildEvent) => void): Promise<Session> {
    refuseSecondLab(options.folder);
    if (options.fresh) rmSync(options.folder, { recursive: true, force: true });
    mkdirSync(options.folder, { recursive: true });
    writeFileSync(join(options.folder, 'lab.pid'), `${process.pid} ${processStartTime(process.pid) ?? ''}`);
    return new Session(await openLayout(options.folder), options, notify);
  }

  async start(): Promise<void> {
    const { print, without = [] } = this.#options;
    const outside = outsideSpecs(this.layout, this.#options);
    print(`starting ${outside.map((spec) => spec.name).join(', ')}`);
    await Promise.all(outside.map((spec) => this.children.start(spec)));
    await this.#ensureContainers();
    const sql = await this.connectSql();
    try {
      for (const name of sqlFiles) await sql.runFile(join(repositoryRoot, 'tools/lab/sql', name));
    } finally {
      sql.close();
    }
    const apps = appNames.filter((name) => !without.includes(name));
    print(`starting ${apps.join(', ')}`);
    await Promise.all(apps.map((name) => this.children.start(appSpec(name, this.configs[name]))));
  }

  async #ensureContainers(): Promise<void> {
    await Promise.all([
      ...Object.values(workContainers).map((name) => this.work.container(name).ensure()),
      ...Object.values(ledgerContainers).map((name) => this.ledger.container(name).ensure()),
    ]);
  }

  async connectSql(): Promise<LabSql> {
    return connectLabSql(this.layout);
  }

  /** The sample book's rows, put into the SQL side; its request is not asked for yet. */
  async loadSample(book: string): Promise<BookRows> {
    const rows = await sampleRows(book);
    const sql = await this.connectSql();
    try {
      await loadBook(sql, rows);
    } finally {
      sql.close();
    }
    return rows;
  }

  /** Runs a verb of a component as its own process, as an operator would; its JSON answer. */
  async verb(name: AppName, ...verb: readonly string[]): Promise<unknown> {
    const args = appArgs(name, this.configs[name], ['--json', '--log-level', 'warn', ...verb]);
    const { stdout } = await execute(process.execPath, [...args], { maxBuffer: 64 * 1024 * 1024 });
    return JSON.parse(stdout) as unknown;
  }

  /** Events that the file-event controller has finished since it started, whatever became of them. */
  async eventsDone(): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${this.layout.ports.eventControllerOps}/metrics`);
    const lines = (await response.text()).split('\n').filter((line) => line.startsWith('xva_events_total{'));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  async untilEventsDone(count: number, timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while ((await this.eventsDone()) < count) {
      if (Date.now() > deadline) throw new LabError(`fewer than ${count} events were done within ${timeoutMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(): Promise<void> {
    await this.children.stop();
    rmSync(join(this.layout.folder, 'lab.pid'), { force: true });
  }
}

function refuseSecondLab(folder: string): void {
  const file = join(folder, 'lab.pid');
  if (!existsSync(file)) return;
  const [pid = '', startTime] = readFileSync(file, 'utf8').trim().split(' ');
  if (startTime !== undefined && processStartTime(Number(pid)) === startTime) {
    throw new LabError(
      `a lab is already running here (pid ${pid}): end it with Ctrl-C in its terminal, or kill ${pid}`,
    );
  }
}
