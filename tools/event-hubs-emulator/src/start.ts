import { createServer } from 'node:net';
import {
  closeServer,
  createControlServer,
  FaultBoard,
  listen,
  trackSockets,
  Transcript,
  type StartedEmulator,
} from '@xva/emulator-kit';
import { ClientConnection } from './amqp/client-connection.ts';
import type { Service } from './amqp/service.ts';
import { defaultPolicy, type SharedAccessPolicy } from './auth/sas.ts';
import { defaultNamespace, type NamespaceConfig } from './config.ts';
import type { HubRegistry } from './hubs/hub.ts';
import { openHubs } from './hubs/open-hubs.ts';

export interface EventHubsEmulatorOptions {
  /** Where the partitions' logs are kept; without it they live in memory and end with the process. */
  readonly dataDirectory?: string;
  /** AMQP port; 0 (default) takes any free one. */
  readonly port?: number;
  readonly controlPort?: number;
  /** Address to bind to; default 127.0.0.1. The control port is always on 127.0.0.1. */
  readonly host?: string;
  readonly config?: NamespaceConfig;
  readonly policies?: readonly SharedAccessPolicy[];
  readonly maxMessageBytes?: number;
  readonly segmentBytes?: number;
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
  readonly trimEveryMs?: number;
  readonly now?: () => number;
}

export interface StartedEventHubsEmulator extends StartedEmulator {
  readonly port: number;
  readonly controlPort: number;
  readonly connectionString: string;
  readonly faults: FaultBoard;
  readonly transcript: Transcript;
  readonly registry: HubRegistry;
  stop(): Promise<void>;
}

const oneDayMs = 24 * 60 * 60 * 1000;

function unhealthy(registry: HubRegistry): string {
  const failed = registry.hubs.flatMap((hub) =>
    hub.partitions.flatMap(({ id, log }) => (log.failure ? [`${hub.name}/${id}: ${log.failure.message}`] : [])),
  );
  return failed.join('; ');
}

function describe(registry: HubRegistry): unknown {
  return registry.hubs.map((hub) => ({
    name: hub.name,
    consumerGroups: hub.consumerGroups,
    partitions: hub.partitions.map(({ id, log, readers }) => ({
      id,
      ...log.info,
      recoveredBytes: log.recoveredBytes,
      readers: Object.fromEntries(hub.consumerGroups.map((group) => [group, readers.count(group)])),
    })),
  }));
}

/**
 * Starts the emulator: opens (and where needed repairs) the logs, then listens.
 *
 * @throws DataDirectoryError when the directory is in use or has another shape, CorruptLogError when acknowledged
 * events cannot be read back.
 */
export async function startEventHubsEmulator(
  options: EventHubsEmulatorOptions = {},
): Promise<StartedEventHubsEmulator> {
  const { config = defaultNamespace, policies = [defaultPolicy], now = Date.now, host = '127.0.0.1' } = options;
  const hubs = await openHubs(config, options.dataDirectory, {
    now,
    segmentBytes: options.segmentBytes ?? 64 * 1024 * 1024,
    retentionMs: options.retentionMs ?? 7 * oneDayMs,
    retentionBytes: options.retentionBytes ?? 8 * 1024 * 1024 * 1024,
  });
  const { registry } = hubs;
  const faults = new FaultBoard();
  const transcript = new Transcript();
  const maxMessageBytes = options.maxMessageBytes ?? 1024 * 1024;
  const service: Service = { registry, policies, faults, transcript, now, maxMessageBytes };

  const trim = async (): Promise<void> => {
    for (const { partitions } of registry.hubs) for (const { log } of partitions) await log.trim();
  };
  const trimmer = setInterval(() => {
    trim().catch((error: unknown) => transcript.add({ kind: 'trim', error: String(error) }));
  }, options.trimEveryMs ?? 60_000).unref();

  const server = createServer((socket) => new ClientConnection(socket, service));
  const control = createControlServer({
    name: 'event-hubs-emulator',
    faults,
    transcript,
    verbs: { hubs: () => describe(registry), trim: () => trim().then(() => describe(registry)) },
    unhealthy: () => unhealthy(registry),
  });
  const cutClients = trackSockets(server);
  const cutControl = trackSockets(control);
  const stop = async (): Promise<void> => {
    clearInterval(trimmer);
    await closeServer(server, cutClients);
    await closeServer(control, cutControl);
    await hubs.close();
  };
  try {
    const port = await listen(server, options.port ?? 0, host);
    const controlPort = await listen(control, options.controlPort ?? 0);
    const [{ name, key } = defaultPolicy] = policies;
    const address = `${host === '0.0.0.0' ? 'localhost' : host}:${port}`;
    return {
      port,
      controlPort,
      endpoints: { amqp: `amqp://${address}`, control: `http://127.0.0.1:${controlPort}` },
      connectionString: `Endpoint=sb://${address};SharedAccessKeyName=${name};SharedAccessKey=${key};UseDevelopmentEmulator=true;`,
      faults,
      transcript,
      registry,
      stop,
    };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}
