import { createInterface } from 'node:readline';
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sha256Hex, type RunView } from '@xva/contracts';
import { BlobAccount } from '@xva/azure-storage';
import {
  azuriteAccount,
  batchAccount,
  startAzurite,
  startBatchEmulatorProcess,
  standInEngineCommand,
  type Azurite,
  type BatchEmulatorProcess,
  type SamplePackage,
} from '@xva/testkit';

const identity = '/subscriptions/t/resourceGroups/t/providers/Microsoft.ManagedIdentity/userAssignedIdentities/tasks';

export const keys = {
  reader: 'reader-key-0123456789',
  submitter: 'submitter-key-0123456789',
  operator: 'operator-key-0123456789',
  admin: 'admin-key-0123456789',
} as const;

export interface Controller {
  readonly url: string;
  readonly child: ChildProcess;
  readonly log: () => string;
  kill(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Azurite, the Batch emulator and as many controllers as a test starts, each a process of its own. */
export class Rig {
  readonly azurite: Azurite;
  readonly batch: BatchEmulatorProcess;
  readonly blobs: BlobAccount;
  readonly #controllers: Controller[] = [];

  private constructor(azurite: Azurite, batch: BatchEmulatorProcess) {
    this.azurite = azurite;
    this.batch = batch;
    this.blobs = new BlobAccount({ connectionString: azurite.connectionString });
  }

  static async start(config: Readonly<Record<string, unknown>> = {}): Promise<Rig> {
    const azurite = await startAzurite();
    const grant = { ...azuriteAccount, blobEndpoint: azurite.blobEndpoint };
    const batch = await startBatchEmulatorProcess({
      pools: [{ id: 'pool', vmSize: 'lab', targetDedicatedNodes: 2, taskSlotsPerNode: 2 }],
      identities: { [identity]: { storage: [grant] } },
      containerImages: { 'lab/engine:*': { env: { PATH: process.env['PATH'] ?? '' } } },
      nodeBootMs: 0,
      ...config,
    }).catch(async (error: unknown) => {
      // Nothing may be left running when the other half does not start.
      await azurite.stop();
      throw error;
    });
    const rig = new Rig(azurite, batch);
    await rig.blobs.container('objects').ensure();
    return rig;
  }

  env(settings: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      XVA_WORK_CONNECTION_STRING: this.azurite.connectionString,
      XVA_LEDGER_CONNECTION_STRING: this.azurite.connectionString,
      XVA_BATCH_URL: this.batch.url,
      XVA_BATCH_ACCOUNT: batchAccount.name,
      XVA_BATCH_KEY: batchAccount.keyBase64,
      XVA_POOL_ID: 'pool',
      XVA_ENGINE_IMAGE: 'lab/engine:1',
      XVA_ENGINE_COMMAND: standInEngineCommand,
      XVA_TASK_IDENTITY_RESOURCE_ID: identity,
      XVA_API_KEYS: JSON.stringify(
        Object.entries(keys).map(([role, key]) => ({ name: `test-${role}`, sha256: sha256Hex(key), role })),
      ),
      XVA_HTTP_PORT: '0',
      XVA_POLL_MS: '50',
      XVA_POLL_MAX_MS: '200',
      XVA_DISCOVER_MS: '300',
      XVA_DEEP_MS: '500',
      XVA_QUOTA_RETRY_MS: '300',
      XVA_TASK_RETRY_DELAY_MS: '20',
      XVA_SHUTDOWN_GRACE_TIME_MS: '5000',
      XVA_EXIT_WITH_PARENT: 'true',
      ...settings,
    };
  }

  async upload({ objects }: SamplePackage): Promise<void> {
    const container = this.blobs.container('objects');
    await Promise.all([...objects].map(([sha256, bytes]) => container.putIfAbsent(sha256, bytes)));
  }

  /** Starts `xva-batch-controller-api run`. */
  async controller(settings: Readonly<Record<string, string>> = {}): Promise<Controller> {
    const child = this.spawn(['run'], settings);
    let log = '';
    child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    const url = await new Promise<string>((resolve, reject) => {
      void exited.then((code) => reject(new Error(`the controller ended with ${code ?? 'a signal'}: ${log}`)));
      if (child.stdout === null) throw new Error('no stdout');
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.startsWith('{"ready":true'))
          resolve((JSON.parse(line) as { endpoints: { http: string } }).endpoints.http);
      });
    });
    const controller: Controller = {
      url,
      child,
      log: () => log,
      kill: async (signal = 'SIGKILL') => {
        if (child.exitCode === null && child.signalCode === null) child.kill(signal);
        return exited;
      },
    };
    this.#controllers.push(controller);
    return controller;
  }

  spawn(args: readonly string[], settings: Readonly<Record<string, string>> = {}): ChildProcess {
    const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
    const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning', main];
    const child = spawn(process.execPath, [...flags, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '', ...this.env(settings) },
    });
    child.stdin.on('error', () => undefined);
    return child;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#controllers.map((controller) => controller.kill()));
    await this.batch.stop();
    await this.azurite.stop();
  }
}

export interface Reply<T> {
  readonly status: number;
  readonly body: T;
  readonly headers: Headers;
}

export async function call<T>(
  url: string,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'OPTIONS' | 'HEAD',
  path: string,
  options: { key?: string; body?: unknown; headers?: Readonly<Record<string, string>> } = {},
): Promise<Reply<T>> {
  const { key = keys.admin, body, headers } = options;
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(key === '' ? {} : { 'x-api-key': key }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '') && text !== '';
  return { status: response.status, body: (isJson ? JSON.parse(text) : text) as T, headers: response.headers };
}

/** Polls until `look` gives something. */
export async function until<T>(what: string, look: () => Promise<T | undefined>, timeoutMs = 30_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function untilState(url: string, runId: string, ...states: RunView['state'][]): Promise<RunView> {
  return until(`run ${runId} to be ${states.join(' or ')}`, async () => {
    const { status, body } = await call<RunView>(url, 'GET', `/v1/runs/${runId}`).catch(() => ({
      status: 0,
      body: undefined,
    }));
    return status === 200 && body !== undefined && states.includes(body.state) ? body : undefined;
  });
}
