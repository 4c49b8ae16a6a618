import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** How one child process is started and known to be ready. */
export interface ChildSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** `line`: it prints `{"ready":true,…}` on stdout; otherwise a probe that resolves once it answers. */
  readonly ready: 'line' | (() => Promise<boolean>);
  /** Signal of the first breath. */
  readonly stopSignal?: NodeJS.Signals;
  /** Started again when it dies unasked, on the same ports. */
  readonly restart: boolean;
}

export interface ChildEvent {
  readonly name: string;
  readonly event: 'ready' | 'died' | 'restarted' | 'stopped';
  readonly detail: string;
}

export class ChildFailedError extends Error {
  override readonly name = 'ChildFailedError';
  readonly child: string;

  constructor(child: string, problem: string, log: string) {
    super(`${child} ${problem}; its log: ${log}`);
    this.child = child;
  }
}

interface Running {
  readonly spec: ChildSpec;
  process: ChildProcess;
  /** Its end is meant: it is not started again. */
  stopping: boolean;
  restarts: number;
  exited: Promise<void>;
}

interface Remembered {
  readonly name: string;
  readonly pid: number;
  readonly startTime: string;
}

/** Clock ticks since boot at which a process started: tells a process from a later one with the same id (proc(5), stat 22). */
export function processStartTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** @throws Error when no lab was ever started in the folder */
export function requireLab(folder: string): void {
  if (!existsSync(join(folder, 'children.json')))
    throw new Error(`no lab is running in ${folder}: start one with npm run lab -- up`);
}

/**
 * Kills a child of a lab that another process runs; that lab starts it again. Azurite alone is asked to end: it saves
 * every few seconds, so a kill -9 would lose acknowledged writes, which the service that it stands for never does.
 *
 * @throws Error when there is no such child, naming the ones there are.
 */
export function killChild(folder: string, name: string): number {
  requireLab(folder);
  const state = JSON.parse(readFileSync(join(folder, 'children.json'), 'utf8')) as readonly Remembered[];
  const child = state.find((one) => one.name === name && processStartTime(one.pid) === one.startTime);
  if (child === undefined)
    throw new Error(`no ${name} is running here; there are ${state.map((one) => one.name).join(', ')}`);
  signalGroup(child.pid, name === 'azurite' ? 'SIGINT' : 'SIGKILL');
  return child.pid;
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** A port that is free now, to be given to a child that must find it again after a restart. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

/**
 * The lab's processes, each in a group of its own with a log file. They end with the lab: by stop in reverse order, by
 * the end of their standard input when the lab is killed, and what is left over from an earlier lab is killed at start.
 */
export class Children {
  readonly #folder: string;
  readonly #running: Running[] = [];
  readonly #notify: (event: ChildEvent) => void;
  #stopped = false;

  constructor(folder: string, notify: (event: ChildEvent) => void) {
    this.#folder = folder;
    this.#notify = notify;
    mkdirSync(join(folder, 'logs'), { recursive: true });
    this.#killLeftovers();
  }

  logOf(name: string): string {
    return join(this.#folder, 'logs', `${name}.log`);
  }

  pidOf(name: string): number | undefined {
    return this.#running.find((child) => child.spec.name === name)?.process.pid;
  }

  /** Starts a child and waits until it is ready; what it said in its ready line, or an empty object. */
  async start(spec: ChildSpec, timeoutMs = 60_000): Promise<Record<string, unknown>> {
    const child: Running = {
      spec,
      process: undefined as never,
      stopping: false,
      restarts: 0,
      exited: Promise.resolve(),
    };
    this.#running.push(child);
    const facts = await this.#launch(child, timeoutMs);
    this.#notify({ name: spec.name, event: 'ready', detail: `pid ${child.process.pid ?? 0}` });
    return facts;
  }

  /** Kills a child with -9 as a fault; it comes back if its spec says so, however often this was asked for. */
  kill(name: string): boolean {
    const child = this.#running.find((one) => one.spec.name === name);
    const pid = child?.process.pid;
    if (child === undefined || pid === undefined) return false;
    child.restarts = 0;
    signalGroup(pid, 'SIGKILL');
    return true;
  }

  /** Kills a child with -9 and keeps it down until `revive`. */
  async hold(name: string): Promise<void> {
    const child = this.#named(name);
    child.stopping = true;
    if (child.process.pid !== undefined) signalGroup(child.process.pid, 'SIGKILL');
    await child.exited;
  }

  /** Starts a child that was held, on the same ports, and waits until it is ready. */
  async revive(name: string, timeoutMs = 60_000): Promise<void> {
    const child = this.#named(name);
    child.stopping = false;
    await this.#launch(child, timeoutMs);
    this.#notify({ name, event: 'restarted', detail: `pid ${child.process.pid ?? 0}` });
  }

  #named(name: string): Running {
    const child = this.#running.find((one) => one.spec.name === name);
    if (child === undefined) throw new Error(`no child is called ${name}`);
    return child;
  }

  /** Stops all in reverse order of their start; after the grace time a child is killed. */
  async stop(graceMs = 15_000): Promise<void> {
    this.#stopped = true;
    for (const child of [...this.#running].reverse()) {
      child.stopping = true;
      const pid = child.process.pid;
      if (pid === undefined || child.process.exitCode !== null || child.process.signalCode !== null) continue;
      signalGroup(pid, child.spec.stopSignal ?? 'SIGTERM');
      const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), graceMs);
      await child.exited;
      clearTimeout(timer);
      this.#notify({ name: child.spec.name, event: 'stopped', detail: '' });
    }
    rmSync(this.#stateFile(), { force: true });
  }

  #stateFile(): string {
    return join(this.#folder, 'children.json');
  }

  #remember(): void {
    const state: Remembered[] = this.#running.flatMap(({ spec, process: { pid } }) =>
      pid === undefined ? [] : [{ name: spec.name, pid, startTime: processStartTime(pid) ?? '' }],
    );
    writeFileSync(this.#stateFile(), JSON.stringify(state));
  }

  #killLeftovers(): void {
    let state: readonly Remembered[];
    try {
      state = JSON.parse(readFileSync(this.#stateFile(), 'utf8')) as Remembered[];
    } catch {
      return;
    }
    for (const { pid, startTime } of state) {
      if (startTime !== '' && processStartTime(pid) === startTime) signalGroup(pid, 'SIGKILL');
    }
  }

  async #launch(child: Running, timeoutMs: number): Promise<Record<string, unknown>> {
    const { spec } = child;
    const log = createWriteStream(this.logOf(spec.name), { flags: 'a' });
    const started = spawn(spec.command, [...spec.args], {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, XVA_EXIT_WITH_PARENT: 'true', ...spec.env },
    });
    child.process = started;
    started.stdin.on('error', () => undefined);
    started.stderr.pipe(log, { end: false });
    child.exited = new Promise((resolve) => {
      started.once('exit', (code, signal) => {
        resolve();
        log.end();
        if (!child.stopping && !this.#stopped) void this.#died(child, signal ?? `exit code ${code ?? 0}`);
      });
    });
    const failed = new Promise<never>((_resolve, reject) => {
      const fail = (problem: string): void => reject(new ChildFailedError(spec.name, problem, this.logOf(spec.name)));
      started.once('error', (error) => fail(`cannot be started: ${error.message}`));
      started.once('exit', (code, signal) => fail(`ended before it was ready (${signal ?? code ?? 0})`));
      setTimeout(() => fail(`was not ready within ${timeoutMs} ms`), timeoutMs).unref();
    });
    failed.catch(() => undefined);
    this.#remember();
    const lines = createInterface({ input: started.stdout });
    const readyLine = new Promise<Record<string, unknown>>((resolve) => {
      lines.on('line', (line) => {
        log.write(`${line}\n`);
        if (/^\{"ready": ?true/.test(line)) resolve(JSON.parse(line) as Record<string, unknown>);
      });
    });
    if (spec.ready === 'line') return Promise.race([readyLine, failed]);
    return Promise.race([probe(spec.ready), failed]);
  }

  async #died(child: Running, why: string): Promise<void> {
    const { name, restart } = child.spec;
    this.#notify({ name, event: 'died', detail: why });
    if (!restart || this.#stopped) return;
    child.restarts += 1;
    if (child.restarts > 20) {
      this.#notify({ name, event: 'died', detail: 'died too often: not started again' });
      return;
    }
    try {
      await this.#launch(child, 60_000);
      this.#notify({ name, event: 'restarted', detail: `pid ${child.process.pid ?? 0}` });
    } catch (error) {
      // A death before readiness comes back here through the exit handler; anything else is told once.
      if (!(error instanceof ChildFailedError)) this.#notify({ name, event: 'died', detail: String(error) });
    }
  }
}

async function probe(ready: () => Promise<boolean>): Promise<Record<string, unknown>> {
  while (!(await ready().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, 50));
  return {};
}
