import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EventPublisher } from '@xva/azure-event-hubs';
import { BlobAccount } from '@xva/azure-storage';
import {
  sampleEvent,
  startAzurite,
  startEventHubsEmulatorProcess,
  type Azurite,
  type EventHubsEmulatorProcess,
  type SampleEvent,
  type SampleEventOptions,
} from '@xva/testkit';
import { startApp, type RunningApp, type Settings } from './processes.ts';
import { StubInputApi, StubJobApi } from './stubs.ts';

const group = 'xva-file-event-controller';

/** Everything around the controller: hub emulator, Azurite, stubs of the two APIs; and what became of events. */
export class Lab {
  readonly inputApi = new StubInputApi();
  readonly jobApi = new StubJobApi(this.inputApi.samples);
  readonly #apps: RunningApp[] = [];
  readonly #publishers = new Map<string, EventPublisher>();
  emulator!: EventHubsEmulatorProcess;
  azurite!: Azurite;
  account!: BlobAccount;
  /** Where the component finds Storage; a test may put a proxy in between. */
  storage = '';
  #revision = 0;

  async start(hubs: readonly string[], partitions = 1, azuriteFolder?: string): Promise<this> {
    const entities = hubs.map((name) => ({ name, partitions, consumerGroups: [group] }));
    [this.emulator, this.azurite] = await Promise.all([
      startEventHubsEmulatorProcess(entities),
      startAzurite(azuriteFolder),
      this.inputApi.server.start(),
      this.jobApi.server.start(),
    ]);
    this.storage = this.azurite.connectionString;
    this.account = new BlobAccount({ connectionString: this.azurite.connectionString });
    await Promise.all(['requests', 'objects', 'deadletters'].map((name) => this.account.container(name).ensure()));
    return this;
  }

  async stop(): Promise<void> {
    await this.killApps();
    await Promise.all([...this.#publishers.values()].map((publisher) => publisher.close()));
    await Promise.all([
      this.inputApi.server.stop(),
      this.jobApi.server.stop(),
      this.emulator.stop(),
      this.azurite.stop(),
    ]);
  }

  settings(hub: string, change: Settings = {}): Settings {
    return {
      hubConnectionString: this.emulator.connectionString,
      hubName: hub,
      hubTryTimeoutMs: 2_000,
      workConnectionString: this.storage,
      ledgerConnectionString: this.storage,
      inputApiUrl: this.inputApi.server.url,
      inputApiKey: 'input-api-key',
      controllerUrl: this.jobApi.server.url,
      controllerApiKey: 'job-api-key',
      balanceIntervalMs: 100,
      ownershipExpiryMs: 600,
      retryMaxMs: 300,
      operatorRetryMs: 300,
      circuitCoolDownMs: 200,
      opsPort: 0,
      shutdownGraceTimeMs: 5_000,
      ...change,
    };
  }

  async run(hub: string, change: Settings = {}): Promise<RunningApp> {
    const app = await startApp(this.settings(hub, change));
    this.#apps.push(app);
    return app;
  }

  async killApps(): Promise<void> {
    for (const app of this.#apps.splice(0)) {
      app.kill('SIGKILL');
      await app.exited;
    }
  }

  /** A new event whose request is frozen and whose package the input API knows. */
  async freeze(options: SampleEventOptions = {}): Promise<SampleEvent> {
    this.#revision += 1;
    const sample = sampleEvent({ book: `BOOK-${this.#revision % 5}`, revision: this.#revision, ...options });
    this.inputApi.samples.push(sample);
    await this.account.container('requests').put(sample.requestName, sample.requestBytes);
    return sample;
  }

  async send(hub: string, bodies: readonly (SampleEvent | Buffer)[]): Promise<void> {
    const publisher =
      this.#publishers.get(hub) ??
      new EventPublisher({ connectionString: this.emulator.connectionString, hub, tryTimeoutMs: 3_000 });
    this.#publishers.set(hub, publisher);
    await publisher.publish(
      bodies.map((body) =>
        Buffer.isBuffer(body)
          ? { id: createHash('sha256').update(body).digest('hex').slice(0, 32), body, partitionKey: 'x' }
          : { id: body.event.id, body: body.eventBytes, partitionKey: body.event.data.requestKey.book },
      ),
    );
  }

  hasRun({ event, packageId }: SampleEvent): boolean {
    return this.jobApi.runs.get(event.id)?.packageId === packageId;
  }

  posts({ event }: SampleEvent): number {
    return this.jobApi.server.requests.filter(({ method, body }) => method === 'POST' && body.includes(event.id))
      .length;
  }

  async letters(): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of this.account.container('deadletters').list()) names.push(name);
    return names;
  }

  /** What must hold of Storage at any moment: objects are what their names say, and a manifest's parts are all there. */
  async faultsOfStorage(): Promise<string[]> {
    const objects = this.account.container('objects');
    const names = new Set<string>();
    const faults: string[] = [];
    const manifests: string[][] = [];
    for await (const { name } of objects.list()) {
      names.add(name);
      const bytes = (await objects.get(name))?.bytes ?? Buffer.alloc(0);
      if (createHash('sha256').update(bytes).digest('hex') !== name) faults.push(`${name} has other content`);
      if (!bytes.subarray(0, 20).includes('"asOf"')) continue;
      const { parts } = JSON.parse(bytes.toString()) as { parts: { sha256: string }[] };
      manifests.push(parts.map(({ sha256 }) => sha256));
    }
    for (const part of manifests.flat()) if (!names.has(part)) faults.push(`${part} is in a manifest and not stored`);
    return faults;
  }
}

/** The input API as a process that dies at a point; see `input-api-child.ts`. */
export async function startInputApiChild(
  point: string,
  port = 0,
): Promise<{ url: string; port: number; child: ChildProcess; exited: Promise<unknown> }> {
  const script = fileURLToPath(new URL('input-api-child.ts', import.meta.url));
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, script, String(port), point], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] ?? '' },
  });
  child.stdin.on('error', () => undefined);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const bound = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (line) => resolve(Number(line)));
    child.once('exit', () => reject(new Error('the input API did not start')));
  });
  return { url: `http://127.0.0.1:${bound}`, port: bound, child, exited };
}
