import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ended, startProcess } from '../test/helpers.ts';
import { defaultAccount } from '../src/index.ts';
import { jsDriver, type Driver } from './drive.ts';
import type { Client, Step } from './scenario.ts';

const root = join(import.meta.dirname, '../../..');

export interface Az {
  readonly version: string;
  /** The interpreter that it runs by, whose packages it uses. */
  readonly python: string;
}

/** The Azure CLI of this machine, or undefined where there is none. */
export function findAz(): Az | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'az-'));
  const run = spawnSync('az', ['--version'], { encoding: 'utf8', env: { ...process.env, ...azEnvironment(folder) } });
  rmSync(folder, { recursive: true, force: true });
  const version = /^azure-cli +(\S+)/m.exec(run.stdout)?.[1];
  const python = /^Python location '(.+)'$/m.exec(run.stdout)?.[1];
  return run.status === 0 && version !== undefined && python !== undefined ? { version, python } : undefined;
}

const azEnvironment = (folder: string) => ({
  AZURE_CONFIG_DIR: folder,
  AZURE_CORE_COLLECT_TELEMETRY: '0',
  AZURE_CORE_NO_COLOR: '1',
});

interface PythonClient {
  readonly python: string;
  readonly script: string;
  readonly env: Record<string, string>;
}

function pythonClient(client: Exclude<Client, 'js'>, folder: string): PythonClient {
  if (client === 'az') return { python: findAz()?.python ?? '', script: 'drive_az.py', env: azEnvironment(folder) };
  const python = join(root, '.venv/bin/python');
  const packages = join(root, '.venv/clients', client === 'python14' ? 'azure-batch-14' : 'azure-batch-15');
  if (!existsSync(packages))
    throw new Error(`${packages} is missing: run npm test (or node tools/bootstrap.mjs test) once`);
  return { python, script: client === 'python14' ? 'drive14.py' : 'drive15.py', env: { PYTHONPATH: packages } };
}

interface Lines {
  readonly child: ChildProcess;
  readonly next: () => Promise<string>;
}

function startPython({ python, script, env }: PythonClient, args: readonly string[]): Lines {
  const path = join(import.meta.dirname, 'clients', script);
  const child = spawn(python, ['-W', 'ignore', path, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => {
    said.push(chunk.toString());
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    next: async () => {
      const line = await lines.next();
      if (line.done === true) throw new Error(`${script} ended: ${said.join('').slice(-2000)}`);
      return line.value;
    },
  };
}

/** The value at a path of the wire's JSON; a list is walked by `[]` (sorted: lists have no order), counted by `#`. */
export function look(value: unknown, path: string): unknown {
  if (path === '') return value;
  const [head = '', ...rest] = path.split('.');
  const tail = rest.join('.');
  if (head.startsWith('#')) {
    const list = look(value, head.slice(1));
    return list === undefined || list === null ? 0 : (list as unknown[]).length;
  }
  if (head.endsWith('[]')) {
    const list = (look(value, head.slice(0, -2)) ?? []) as unknown[];
    return list.map((item) => look(item, tail));
  }
  if (value === null || typeof value !== 'object') return null;
  return look((value as Record<string, unknown>)[head] ?? null, tail);
}

/** Casing of enumerations differs by api-version, and headers are texts: both are made the same before they are compared. */
function level(value: unknown, expected: unknown): unknown {
  if (Array.isArray(value))
    return value.map((item, at) => level(item, Array.isArray(expected) ? expected[at] : undefined));
  if (typeof value === 'string' && typeof expected === 'number') return Number(value);
  if (typeof value === 'string' && typeof expected === 'string' && value.toLowerCase() === expected) return expected;
  return value;
}

function substitute(value: unknown, saved: ReadonlyMap<string, unknown>): unknown {
  if (typeof value === 'string' && value.startsWith('$')) return saved.get(value.slice(1)) ?? value;
  if (Array.isArray(value)) return value.map((item) => substitute(item, saved));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, substitute(item, saved)]));
}

export interface Seen {
  readonly step: Step;
  readonly number: number;
  readonly seen: unknown;
}

function observe(step: Step, result: unknown): unknown {
  const error = (result as { error?: string } | null)?.error;
  if (typeof error === 'string') return error;
  if (typeof result === 'boolean') return result;
  if (step.see === undefined) return 'done';
  // Lists are sorted by their first property looked at, so that rows stay together.
  const [by = ''] = step.see;
  const sorted =
    Array.isArray(result) && by.startsWith('[]')
      ? [...(result as unknown[])].sort((a, b) => (String(look([a], by)) < String(look([b], by)) ? -1 : 1))
      : result;
  return step.see.map((path) => look(sorted, path) ?? null);
}

/** Runs the scenario by one client against an emulator of its own. @throws Error when a step cannot be made */
export async function runScenario(client: Client, steps: readonly Step[]): Promise<Seen[]> {
  const folder = mkdtempSync(join(tmpdir(), 'batch-conformance-'));
  const config = join(folder, 'config.json');
  // Long enough for a resize to be stopped by the slowest client before it is over.
  writeFileSync(config, JSON.stringify({ nodeBootMs: 800 }));
  const emulator = await startProcess('--data', join(folder, 'data'), '--config', config);
  const { batch } = emulator.endpoints;
  let lines: Lines | undefined;
  try {
    let drive: Driver;
    if (client === 'js') drive = jsDriver(batch, defaultAccount.name, defaultAccount.keyBase64);
    else {
      const started = startPython(pythonClient(client, folder), [batch, defaultAccount.name, defaultAccount.keyBase64]);
      lines = started;
      await started.next();
      drive = async (step, args) => {
        started.child.stdin?.write(`${JSON.stringify({ op: step.op, args })}\n`);
        return JSON.parse(await started.next()) as unknown;
      };
    }
    return await walk(client, steps, drive);
  } finally {
    lines?.child.stdin?.end();
    if (lines !== undefined) await ended(lines.child, 'SIGKILL');
    await ended(emulator.child, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function walk(client: Client, steps: readonly Step[], drive: Driver): Promise<Seen[]> {
  const saved = new Map<string, unknown>();
  const all: Seen[] = [];
  for (const [number, step] of steps.entries()) {
    if (step.not?.includes(client) === true) continue;
    const deadline = Date.now() + 15_000;
    let result: unknown;
    for (;;) {
      result = await drive(step, substitute(step.args, saved) as Record<string, unknown>);
      const { crash } = (result ?? {}) as { crash?: string };
      if (typeof crash === 'string') throw new Error(`${client}, step ${number} (${step.op}): ${crash}`);
      if (step.until === undefined || Date.now() > deadline) break;
      const [path, wanted] = step.until;
      const error = (result as { error?: string } | null)?.error;
      const now = typeof error === 'string' ? error : look(result, path);
      if (JSON.stringify(level(now, wanted)) === JSON.stringify(wanted)) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (step.save !== undefined) {
      const [name, path] = step.save;
      // A number in a path picks from a list.
      saved.set(name, look(result, path));
    }
    all.push({ step, number, seen: level(observe(step, result), step.expect) });
  }
  return all;
}
