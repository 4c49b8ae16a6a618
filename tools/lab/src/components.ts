import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { delimiter, join } from 'node:path';
import { sha256Hex } from '@xva/contracts';
import type { ChildSpec } from './children.ts';
import {
  batchAccountName,
  engineImage,
  hubConnectionString,
  hubName,
  ledgerAccountName,
  poolId,
  repositoryRoot,
  storageConnectionString,
  taskIdentityId,
  workAccountName,
  type LabLayout,
} from './layout.ts';

export const appNames = [
  'xva-batch-controller-api',
  'xva-file-event-controller',
  'xva-db-integrator',
  'xva-batch-gc',
] as const;
export type AppName = (typeof appNames)[number];

const nodeFlags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
const enginePath = [join(repositoryRoot, '.venv/bin'), process.env['PATH'] ?? ''].join(delimiter);

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  await response.arrayBuffer();
  return true;
}

function writeJson(folder: string, name: string, value: unknown): string {
  mkdirSync(join(folder, 'config'), { recursive: true });
  const file = join(folder, 'config', name);
  writeFileSync(file, JSON.stringify(value, null, 2), { mode: 0o600 });
  return file;
}

export interface LabOptions {
  /** Tasks that run side by side; default: the machine's cores. */
  readonly slots?: number | undefined;
  /** How long a shard is meant to take on one core. */
  readonly targetShardSeconds?: number | undefined;
}

/** The outside world and the input API, in the order of their start. */
export function outsideSpecs(layout: LabLayout, options: LabOptions): readonly ChildSpec[] {
  const { folder, ports, secrets } = layout;
  const data = (name: string): string => {
    const path = join(folder, 'data', name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const emulator = (name: string, args: readonly string[]): ChildSpec => ({
    name,
    command: process.execPath,
    args: [...nodeFlags, join(repositoryRoot, 'tools', name, 'src/main.ts'), '--exit-with-parent', ...args],
    ready: 'line',
    restart: true,
  });
  const storage = [
    {
      account: workAccountName,
      keyBase64: secrets.workKey,
      blobEndpoint: `http://127.0.0.1:${ports.azuriteBlob}/${workAccountName}`,
    },
  ];
  const batchConfig = writeJson(folder, 'azure-batch-emulator.json', {
    accounts: [{ name: batchAccountName, keyBase64: secrets.batchKey }],
    pools: [
      {
        id: poolId,
        vmSize: 'standard_d2s_v5',
        targetDedicatedNodes: 1,
        taskSlotsPerNode: options.slots ?? cpus().length,
      },
    ],
    identities: { [taskIdentityId]: { storage } },
    containerImages: { [engineImage]: { env: { PATH: enginePath } } },
    killGraceMs: 2_000,
  });
  const hubConfig = writeJson(folder, 'event-hubs-emulator.json', {
    UserConfig: {
      NamespaceConfig: [
        {
          Type: 'EventHub',
          Name: 'emulatorNs1',
          Entities: [{ Name: hubName, PartitionCount: '4', ConsumerGroups: [{ Name: 'xva-file-event-controller' }] }],
        },
      ],
      LoggingConfig: { Type: 'Console' },
    },
  });
  return [
    {
      name: 'azurite',
      command: process.execPath,
      args: [
        join(repositoryRoot, 'node_modules/azurite/dist/src/azurite.js'),
        ...['--location', data('azurite'), '--silent', '--skipApiVersionCheck', '--disableTelemetry'],
        ...[
          '--blobPort',
          String(ports.azuriteBlob),
          '--queuePort',
          String(ports.azuriteQueue),
          '--tablePort',
          String(ports.azuriteTable),
        ],
      ],
      env: { AZURITE_ACCOUNTS: `${workAccountName}:${secrets.workKey};${ledgerAccountName}:${secrets.ledgerKey}` },
      ready: async () =>
        (await answers(`http://127.0.0.1:${ports.azuriteBlob}/`)) && answers(`http://127.0.0.1:${ports.azuriteTable}/`),
      stopSignal: 'SIGINT',
      restart: true,
    },
    emulator('azure-batch-emulator', [
      '--data',
      data('batch'),
      '--port',
      String(ports.batch),
      '--control-port',
      String(ports.batchControl),
      '--config',
      batchConfig,
    ]),
    {
      ...emulator('event-hubs-emulator', [
        '--data',
        data('hubs'),
        '--port',
        String(ports.hubs),
        '--control-port',
        String(ports.hubsControl),
        '--config',
        hubConfig,
      ]),
    },
    emulator('sql-server-simulator', [
      ...['--data', data('sql'), '--port', String(ports.sql), '--control-port', String(ports.sqlControl)],
      ...['--database', 'xva', '--login', 'xva_lab', '--password', secrets.sqlPassword],
    ]),
    {
      name: 'input-api',
      command: join(repositoryRoot, '.venv/bin/xva-engine'),
      args: [
        'input-api',
        '--port',
        String(ports.inputApi),
        '--data',
        data('input-api'),
        '--exit-with-parent',
        '--workers',
        '2',
      ],
      env: { XVA_INPUT_API_KEY: secrets.inputApiKey },
      ready: 'line',
      restart: true,
    },
  ];
}

/** Settings of every component, as files that `nx serve` reads too. */
export function writeAppConfigs(
  layout: LabLayout,
  options: LabOptions,
  files: { readonly definitions: string; readonly policy: string },
): Readonly<Record<AppName, string>> {
  const { folder, ports, secrets } = layout;
  const workConnectionString = storageConnectionString(layout, 'work');
  const ledgerConnectionString = storageConnectionString(layout, 'ledger');
  const batch = {
    batchUrl: `http://127.0.0.1:${ports.batch}`,
    batchAccount: batchAccountName,
    batchKey: secrets.batchKey,
  };
  const settings: Readonly<Record<AppName, object>> = {
    'xva-batch-controller-api': {
      ...batch,
      httpPort: ports.controller,
      // For the verbs that ask a running controller: `npm run cli -- xva-batch-controller-api runs list`.
      controllerUrl: `http://127.0.0.1:${ports.controller}`,
      controllerApiKey: secrets.operatorKey,
      workConnectionString,
      ledgerConnectionString,
      poolId,
      engineImage,
      taskIdentityResourceId: taskIdentityId,
      // The lab's book takes a minute or two, not hours: shards and looks are scaled down alike.
      targetShardSeconds: options.targetShardSeconds ?? 15,
      pollMs: 50,
      pollMaxMs: 250,
      discoverMs: 1_000,
      deepMs: 2_000,
      quotaRetryMs: 1_000,
      taskRetryDelayMs: 250,
      apiKeys: [
        { name: 'file-event-controller', sha256: sha256Hex(secrets.submitterKey), role: 'submitter' },
        { name: 'lab', sha256: sha256Hex(secrets.operatorKey), role: 'operator' },
      ],
    },
    'xva-file-event-controller': {
      hubConnectionString: hubConnectionString(layout),
      hubName,
      workConnectionString,
      ledgerConnectionString,
      inputApiUrl: `http://127.0.0.1:${ports.inputApi}`,
      inputApiKey: secrets.inputApiKey,
      controllerUrl: `http://127.0.0.1:${ports.controller}`,
      controllerApiKey: secrets.submitterKey,
      opsPort: ports.eventControllerOps,
    },
    'xva-db-integrator': {
      definitionsFile: files.definitions,
      sqlServer: '127.0.0.1',
      sqlPort: ports.sql,
      sqlDatabase: 'xva',
      sqlUser: 'xva_lab',
      sqlPassword: secrets.sqlPassword,
      sqlEncrypt: 'false',
      workConnectionString,
      hubConnectionString: hubConnectionString(layout),
      hubName,
      opsPort: ports.integratorOps,
    },
    'xva-batch-gc': {
      ...batch,
      workConnectionString,
      ledgerConnectionString,
      policyFile: files.policy,
      opsPort: ports.gcOps,
    },
  };
  return Object.fromEntries(
    appNames.map((name) => [name, writeJson(folder, `${name}.json`, settings[name])]),
  ) as Record<AppName, string>;
}

/** One of our components as a process, run from its source as `nx serve` does. */
export function appSpec(name: AppName, configFile: string): ChildSpec {
  return {
    name,
    command: process.execPath,
    args: [...nodeFlags, join(repositoryRoot, 'apps', name, 'src/main.ts'), '--config', configFile, 'run'],
    ready: 'line',
    restart: true,
  };
}

/** A component's verb as its own process, for what the lab asks of it; stdout as text. */
export function appArgs(name: AppName, configFile: string, verb: readonly string[]): readonly string[] {
  return [...nodeFlags, join(repositoryRoot, 'apps', name, 'src/main.ts'), '--config', configFile, ...verb];
}
