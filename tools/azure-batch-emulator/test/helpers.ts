import { readFileSync } from 'node:fs';
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { BatchServiceClient, BatchSharedKeyCredentials, type BatchServiceModels } from '@azure/batch';
import { defaultAccount } from '../src/index.ts';

/** The official client, with its own retries off so that one request is one request. */
export function clientFor(url: string, account = defaultAccount): BatchServiceClient {
  const credentials = new BatchSharedKeyCredentials(account.name, account.keyBase64);
  return new BatchServiceClient(credentials, url, { noRetryPolicy: true });
}

/** Waits until `look` gives something; fails with `what` after 15 s. */
export async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

type Task = BatchServiceModels.TaskGetResponse;

export function completed(client: BatchServiceClient, job: string, task: string): Promise<Task> {
  return until(`task ${job}/${task} to complete`, async () => {
    const found = await client.task.get(job, task);
    return found.state === 'completed' ? found : undefined;
  });
}

export async function inState(client: BatchServiceClient, job: string, task: string, state: string): Promise<Task> {
  return until(`task ${job}/${task} to be ${state}`, async () => {
    const found = await client.task.get(job, task);
    return found.state === state ? found : undefined;
  });
}

export function jobInState(client: BatchServiceClient, job: string, state: string) {
  return until(`job ${job} to be ${state}`, async () => {
    const found = await client.job.get(job);
    return found.state === state ? found : undefined;
  });
}

export async function fileText(client: BatchServiceClient, job: string, task: string, path: string): Promise<string> {
  const answer = await client.file.getFromTask(job, task, path);
  const chunks: Buffer[] = [];
  for await (const chunk of answer.readableStreamBody as AsyncIterable<Buffer>) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

/** What a call was refused with: `status code`. */
export async function refused(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    const { statusCode, code, body } = error as { statusCode?: number; code?: string; body?: { code?: string } };
    return `${statusCode ?? 0} ${body?.code ?? code ?? ''}`;
  }
  return 'not refused';
}

export interface Started {
  readonly endpoints: { readonly batch: string; readonly control: string };
  readonly child: ChildProcess;
}

const main = join(import.meta.dirname, '../src/main.ts');

/** Starts the emulator as its users do: a process of its own. */
export async function startProcess(...args: string[]): Promise<Started> {
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, main, '--exit-with-parent', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  for await (const line of createInterface({ input: child.stdout })) {
    return { endpoints: (JSON.parse(line) as Started).endpoints, child };
  }
  throw new Error(`the emulator did not start: ${said.join('')}`);
}

export async function ended(child: ChildProcess, signal?: NodeJS.Signals): Promise<number | null> {
  const over = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  if (signal !== undefined) child.kill(signal);
  return over;
}

/** Whether a process runs; one that is dead and only not yet collected by its parent does not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z';
  } catch {
    return false;
  }
}
