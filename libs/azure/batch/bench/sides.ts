import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatchServiceClient, BatchSharedKeyCredentials } from '@azure/batch';
import { batchAccount, pythonClient, type BatchEmulatorProcess } from '@xva/testkit';
import { BatchAdapter } from '../src/index.ts';
import { toTask } from '../src/shapes.ts';
import { specs } from './task-spec.ts';

export interface Took {
  readonly ms: number;
  /** CPU of the client's process, in microseconds per task. */
  readonly cpuPerTask: number;
}

/** One way of submitting; `submit` returns what the adding itself took. */
export interface Side {
  readonly name: string;
  readonly submit: (emulator: BatchEmulatorProcess, job: string, count: number) => Promise<Took>;
}

const account = { accountName: batchAccount.name, accountKey: batchAccount.keyBase64 };

export const adapterFor = (emulator: BatchEmulatorProcess): BatchAdapter =>
  new BatchAdapter({ endpoint: emulator.url, ...account });

async function measured(count: number, act: () => Promise<void>): Promise<Took> {
  globalThis.gc?.();
  const cpu = process.cpuUsage();
  const started = performance.now();
  await act();
  const ms = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpuPerTask: (user + system) / count };
}

/** Runs `send` over the items, so many at a time. */
async function inFlight<T>(items: readonly T[], width: number, send: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) await send(items[at]!);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

export const adapterSide: Side = {
  name: 'adapter',
  submit: async (emulator, job, count) => {
    const adapter = adapterFor(emulator);
    const tasks = specs(count);
    try {
      return await measured(count, async () => {
        const added = await adapter.addTasks(job, tasks);
        if (added.outcome !== 'added') throw new Error(`the adapter: ${JSON.stringify(added)}`);
      });
    } finally {
      adapter.close();
    }
  },
};

/** `addCollection` by hundreds as the official client comes, 32 in flight; its tasks are built before the clock starts. */
export const sdkSide: Side = {
  name: '@azure/batch addCollection',
  submit: async (emulator, job, count) => {
    const key = new BatchSharedKeyCredentials(batchAccount.name, batchAccount.keyBase64);
    const client = new BatchServiceClient(key, emulator.url);
    const tasks = specs(count).map(toTask);
    const chunks = Array.from({ length: Math.ceil(count / 100) }, (_, at) => tasks.slice(at * 100, at * 100 + 100));
    return measured(count, () =>
      inFlight(chunks, 32, async (chunk) => {
        const { value } = await client.task.addCollection(job, chunk);
        if (value?.length !== chunk.length) throw new Error('the official client: an answer is short');
      }),
    );
  },
};

/** The floor: bodies built beforehand, signed and sent 32 in flight, answers read and not looked into. */
export const floorSide: Side = {
  name: 'raw floor (pre-built bodies)',
  submit: async (emulator, job, count) => {
    const agent = new Agent({ keepAlive: true });
    const url = new URL(emulator.url);
    const key = Buffer.from(batchAccount.keyBase64, 'base64');
    const tasks = specs(count).map((spec) => JSON.stringify(toTask(spec)));
    const bodies = Array.from({ length: Math.ceil(count / 100) }, (_, at) =>
      Buffer.from(`{"value":[${tasks.slice(at * 100, at * 100 + 100).join(',')}]}`),
    );
    const type = 'application/json; odata=minimalmetadata; charset=utf-8';
    const path = `/jobs/${job}/addtaskcollection`;
    const send = (body: Buffer): Promise<void> => {
      const date = new Date().toUTCString();
      const text = `POST\n\n\n${body.length}\n\n${type}\n\n\n\n\n\n\nocp-date:${date}\n/${batchAccount.name}${path}\napi-version:2022-10-01.16.0`;
      const signature = createHmac('sha256', key).update(text).digest('base64');
      return new Promise((resolve, reject) => {
        const call = request(
          {
            agent,
            host: url.hostname,
            port: url.port,
            method: 'POST',
            path: `${path}?api-version=2022-10-01.16.0`,
            headers: {
              'content-type': type,
              'content-length': body.length,
              'ocp-date': date,
              authorization: `SharedKey ${batchAccount.name}:${signature}`,
            },
          },
          (response) => {
            response.on('end', () =>
              response.statusCode === 200 ? resolve() : reject(new Error(`floor: ${response.statusCode ?? 0}`)),
            );
            response.resume();
          },
        );
        call.on('error', reject);
        call.end(body);
      });
    };
    try {
      return await measured(count, () => inFlight(bodies, 32, send));
    } finally {
      agent.destroy();
    }
  },
};

/** `create_tasks` of azure-batch 15 in a process of its own, by so many threads; start-up and building are not counted. */
export function pythonSide(threads: number): Side {
  return {
    name: `Python azure-batch 15, ${threads} thread${threads === 1 ? '' : 's'}`,
    submit: (emulator, job, count) => {
      const { python, env } = pythonClient('azure-batch-15');
      const folder = mkdtempSync(join(tmpdir(), 'xva-submit-'));
      const file = join(folder, 'tasks.json');
      writeFileSync(file, JSON.stringify(specs(count).map(toTask)));
      const script = join(import.meta.dirname, 'submit.py');
      const args = [script, emulator.url, batchAccount.name, batchAccount.keyBase64, job, file, String(threads)];
      const run = spawnSync(python, args, { env: { ...process.env, ...env }, encoding: 'utf8' });
      rmSync(folder, { recursive: true });
      if (run.status !== 0) return Promise.reject(new Error(`azure-batch 15: ${run.stderr}`));
      const { seconds, cpuSeconds } = JSON.parse(run.stdout) as { seconds: number; cpuSeconds: number };
      return Promise.resolve({ ms: seconds * 1_000, cpuPerTask: (cpuSeconds * 1e6) / count });
    },
  };
}
