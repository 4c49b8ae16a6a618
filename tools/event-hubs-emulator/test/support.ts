import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  earliestEventPosition,
  EventHubConsumerClient,
  EventHubProducerClient,
  type ReceivedEventData,
  type SubscribeOptions,
} from '@azure/event-hubs';
import { startEventHubsEmulator, type EventHubsEmulatorOptions, type StartedEventHubsEmulator } from '../src/index.ts';

export const hub = 'xva-runs';
export const group = 'xva-file-event-controller';
/** No retries, and a short wait for an answer that never comes. */
export const once = { retryOptions: { maxRetries: 0, timeoutInMs: 3000 } };

/**
 * The clients' own long timers (token renewal, idle time of a lost connection) outlive them; those of a minute and more
 * no longer keep the test process alive.
 */
export function letLongTimersGo(): void {
  const original = globalThis.setTimeout;
  const patched = (...args: Parameters<typeof setTimeout>): NodeJS.Timeout => {
    const timer = original(...args);
    return (args[1] ?? 0) >= 60_000 ? timer.unref() : timer;
  };
  globalThis.setTimeout = Object.assign(patched, { __promisify__: original.__promisify__ }) as typeof setTimeout;
}

type Closable = () => Promise<unknown>;

/** What a test opened, closed in reverse order. */
export class Stack {
  readonly #closables: Closable[] = [];

  add(close: Closable): void {
    this.#closables.push(close);
  }

  async emulator(options: EventHubsEmulatorOptions = {}): Promise<StartedEventHubsEmulator> {
    const emulator = await startEventHubsEmulator(options);
    this.add(() => emulator.stop());
    return emulator;
  }

  producer(connectionString: string, options: object = once, name = hub): EventHubProducerClient {
    const producer = new EventHubProducerClient(connectionString, name, options);
    this.add(() => producer.close());
    return producer;
  }

  consumer(connectionString: string, consumerGroup = '$Default', name = hub): EventHubConsumerClient {
    const consumer = new EventHubConsumerClient(consumerGroup, connectionString, name, once);
    this.add(() => consumer.close());
    return consumer;
  }

  directory(): string {
    const path = mkdtempSync(join(tmpdir(), 'event-hubs-emulator-'));
    this.add(() => Promise.resolve(rmSync(path, { recursive: true, force: true })));
    return path;
  }

  async close(): Promise<void> {
    for (const close of this.#closables.splice(0).reverse()) await close().catch(() => undefined);
  }
}

/** Receives `count` events, from one partition or from all; fails on the first error that the client reports. */
export async function receive(
  consumer: EventHubConsumerClient,
  count: number,
  options: SubscribeOptions = { startPosition: earliestEventPosition },
  partition?: string,
): Promise<ReceivedEventData[]> {
  const events: ReceivedEventData[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const handlers = {
    processEvents: async (batch: ReceivedEventData[]) => {
      events.push(...batch);
      if (events.length >= count) resolve(undefined);
    },
    processError: async (error: Error) => reject(error),
  };
  const subscription =
    partition === undefined ? consumer.subscribe(handlers, options) : consumer.subscribe(partition, handlers, options);
  try {
    await promise;
  } finally {
    await subscription.close();
  }
  return events;
}

/** The first error of a subscription. */
export function firstError(
  consumer: EventHubConsumerClient,
  partition: string,
  options: SubscribeOptions,
): { readonly error: Promise<Error & { code?: string }>; readonly close: () => Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<Error & { code?: string }>();
  const subscription = consumer.subscribe(
    partition,
    { processEvents: async () => undefined, processError: async (error) => resolve(error) },
    options,
  );
  return { error: promise, close: () => subscription.close() };
}

/** Jest's text matchers, typed as text. */
export const containing = (text: string): string => expect.stringContaining(text) as string;
export const matching = (pattern: RegExp): string => expect.stringMatching(pattern) as string;

/** Polls until the condition holds; the test's own time limit is the deadline. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

export interface EmulatorProcess {
  readonly child: ChildProcess;
  readonly port: number;
  readonly controlUrl: string;
  readonly connectionString: string;
  /** Resolves once the process is gone. */
  readonly exited: Promise<number | null>;
}

export const mainFile = join(import.meta.dirname, '../src/main.ts');
export const nodeFlags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];

/** Halves the start of a process. One that is killed writes none, so that the first of all ends in order. */
const compiled = join(import.meta.dirname, '../../../node_modules/.cache/event-hubs-emulator');

/** The emulator as a process of its own, killed at the end whatever happens. */
export async function spawnEmulator(stack: Stack, args: readonly string[]): Promise<EmulatorProcess> {
  const env = { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: compiled };
  if (!existsSync(compiled)) spawnSync(process.execPath, [...nodeFlags, mainFile, '--help'], { env });
  const child = spawn(process.execPath, [...nodeFlags, mainFile, '--exit-with-parent', ...args], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  stack.add(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void exited.then((code) => reject(new Error(`the emulator ended with ${code} before it was ready`)));
  });
  const { endpoints } = JSON.parse(line) as { endpoints: { amqp: string; control: string } };
  const port = Number(new URL(endpoints.amqp).port);
  return {
    child,
    port,
    controlUrl: endpoints.control,
    connectionString:
      `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=RootManageSharedAccessKey;` +
      'SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;',
    exited,
  };
}
