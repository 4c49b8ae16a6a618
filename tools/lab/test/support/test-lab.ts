import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { untilAllUp } from '../../src/all-up.ts';
import type { ChildEvent } from '../../src/children.ts';
import type { AppName, LabOptions } from '../../src/components.ts';
import { eventually } from '../../src/eventually.ts';
import { repositoryRoot } from '../../src/layout.ts';
import { Session } from '../../src/session.ts';

/** The whole pipeline as processes on free ports, in a folder of its own, for one test file. */
export class TestLab {
  readonly session: Session;
  /** What became of the processes. */
  readonly events: readonly ChildEvent[];
  readonly #folder: string;
  #failed = false;

  private constructor(session: Session, folder: string, events: readonly ChildEvent[]) {
    this.session = session;
    this.events = events;
    this.#folder = folder;
  }

  static async open(name: string, options: LabOptions = {}): Promise<TestLab> {
    process.env['PATH'] = [join(repositoryRoot, '.venv/bin'), process.env['PATH'] ?? ''].join(delimiter);
    const folder = mkdtempSync(join(tmpdir(), `xva-lab-${name}-`));
    const events: ChildEvent[] = [];
    const session = await Session.open({ ...options, folder, fresh: true, print: () => undefined }, (event) => {
      events.push(event);
    });
    const lab = new TestLab(session, folder, events);
    try {
      await lab.evidence(() => session.start());
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** Does a step of a test; when it fails, tells where the logs are and how they end. */
  async evidence<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#failed = true;
      process.stderr.write(`\nlogs and settings: ${this.#folder}\n${this.#endOfLogs()}\n`);
      throw error;
    }
  }

  /** Changes a component's file of settings; a process that runs has read it already. */
  setSettings(name: AppName, change: Readonly<Record<string, unknown>>): void {
    const file = this.session.configs[name];
    const settings = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...settings, ...change }, null, 2));
  }

  /** Changes settings of a component and stops it; it comes back with them, as after an operator's restart. */
  async reconfigure(name: AppName, change: Readonly<Record<string, unknown>>): Promise<void> {
    this.setSettings(name, change);
    const seen = this.events.length;
    const pid = this.session.children.pidOf(name);
    if (pid === undefined) throw new Error(`${name} does not run`);
    process.kill(pid, 'SIGTERM');
    await eventually(
      `${name} is back with other settings`,
      async () =>
        this.events.slice(seen).some((event) => event.name === name && event.event === 'restarted') || undefined,
      60_000,
    );
  }

  /** Waits for a line of a log whose text matches. */
  async untilLogged(name: string, pattern: RegExp, timeoutMs = 30_000): Promise<string> {
    return eventually(
      `${name} logs ${String(pattern)}`,
      async () =>
        readFileSync(this.session.children.logOf(name), 'utf8')
          .split('\n')
          .find((line) => pattern.test(line)),
      timeoutMs,
    );
  }

  async untilAllUp(): Promise<void> {
    await untilAllUp(this.session.layout);
  }

  /** Ends all processes; the folder stays when a test failed. */
  async close(): Promise<void> {
    await this.session.stop();
    if (!this.#failed) rmSync(this.#folder, { recursive: true, force: true });
  }

  #endOfLogs(): string {
    const deaths = this.events.filter(({ event }) => event === 'died').map(({ name, detail }) => `${name} (${detail})`);
    const ends = readdirSync(join(this.#folder, 'logs')).flatMap((file) => {
      const lines = readFileSync(join(this.#folder, 'logs', file), 'utf8')
        .trimEnd()
        .split('\n');
      const trouble = lines.filter(
        (line) => /"level":("(warn|error|fatal)"|[456]0)/.test(line) || !line.startsWith('{'),
      );
      return ['', `— ${file}, last lines and last trouble —`, ...new Set([...trouble.slice(-5), ...lines.slice(-3)])];
    });
    return [`died: ${deaths.join(', ') || 'none'}`, ...ends].map((line) => line.slice(0, 1_000)).join('\n');
  }
}
