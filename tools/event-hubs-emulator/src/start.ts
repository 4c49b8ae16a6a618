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
import { Throughput } from './hubs/throughput.ts';
import { withFaults } from './log/faulty-directory.ts';

export interface EventHubsEmulatorOptions {
  /** Where the partitions' logs are kept; without it they live in memory and end with the process. */
  readonly dataDirectory?: string;
  /** AMQP port of the first namespace; each further one takes the next. 0 (default) takes any free ones. */
  readonly port?: number;
  readonly controlPort?: number;
  /** Address to bind to; default 127.0.0.1. The control port is always on 127.0.0.1. */
  readonly host?: string;
  readonly namespaces?: readonly NamespaceConfig[];
  /** Of namespaces that name none themselves. */
  readonly policies?: readonly SharedAccessPolicy[];
  /** Of namespaces that name none themselves; without it nothing is held back. */
  readonly throughputUnits?: number;
  readonly maxMessageBytes?: number;
  readonly segmentBytes?: number;
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
  readonly trimEveryMs?: number;
  /** How often links are looked at whose tokens may have expired. */
  readonly checkTokensEveryMs?: number;
  /** Ends the process as a crash would, for fault rules of that kind; without it they fail like a broken disk. */
  readonly crash?: () => Promise<never>;
  readonly now?: () => number;
}

/** One namespace and where it is to be reached. */
export interface StartedNamespace {
  readonly name: string;
  readonly port: number;
  readonly connectionString: string;
  readonly registry: HubRegistry;
}

export interface StartedEventHubsEmulator extends StartedEmulator {
  readonly namespaces: readonly StartedNamespace[];
  /** Those of the first namespace. */
  readonly port: number;
  readonly connectionString: string;
  readonly registry: HubRegistry;
  readonly controlPort: number;
  readonly faults: FaultBoard;
  readonly transcript: Transcript;
  stop(): Promise<void>;
}

const oneDayMs = 24 * 60 * 60 * 1000;

function unhealthy(registries: readonly HubRegistry[]): string {
  const failed = registries.flatMap(({ namespace, hubs }) =>
    hubs.flatMap(({ name, partitions }) =>
      partitions.flatMap(({ id, log }) => (log.failure ? [`${namespace}/${name}/${id}: ${log.failure.message}`] : [])),
    ),
  );
  return failed.join('; ');
}

function describe(registries: readonly HubRegistry[]): unknown {
  return registries.flatMap(({ namespace, hubs }) =>
    hubs.map((hub) => ({
      namespace,
      name: hub.name,
      consumerGroups: hub.consumerGroups,
      partitions: hub.partitions.map(({ id, log, readers }) => ({
        id,
        ...log.info,
        recoveredBytes: log.recoveredBytes,
        readers: Object.fromEntries(hub.consumerGroups.map((group) => [group, readers.count(group)])),
      })),
    })),
  );
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
  const { namespaces = [defaultNamespace], now = Date.now, host = '127.0.0.1' } = options;
  const faults = new FaultBoard();
  const transcript = new Transcript();
  const opened = await openHubs(
    namespaces,
    options.dataDirectory,
    {
      now,
      segmentBytes: options.segmentBytes ?? 64 * 1024 * 1024,
      retentionMs: options.retentionMs ?? 7 * oneDayMs,
      retentionBytes: options.retentionBytes ?? 8 * 1024 * 1024 * 1024,
    },
    (directory, place) =>
      withFaults(directory, (operation) => faults.take('disk', { ...place, operation }), options.crash),
  );
  const { registries } = opened;
  const connections = new Set<ClientConnection>();
  const servers = namespaces.map((namespace, index) => {
    const registry = registries[index];
    if (registry === undefined) throw new Error(`namespace ${namespace.name} was not opened`);
    const service: Service = {
      registry,
      throughput: new Throughput(namespace.throughputUnits ?? options.throughputUnits, now),
      policies: namespace.policies ?? options.policies ?? [defaultPolicy],
      faults,
      transcript,
      now,
      maxMessageBytes: options.maxMessageBytes ?? 1024 * 1024,
    };
    const server = createServer((socket) => {
      const connection = new ClientConnection(socket, service);
      connections.add(connection);
      socket.once('close', () => connections.delete(connection));
    });
    return { name: namespace.name, registry, service, server, cut: trackSockets(server) };
  });

  const trim = async (): Promise<void> => {
    for (const { hubs } of registries)
      for (const { partitions } of hubs) for (const { log } of partitions) await log.trim();
  };
  const timers = [
    setInterval(() => {
      trim().catch((error: unknown) => transcript.add({ kind: 'trim', error: String(error) }));
    }, options.trimEveryMs ?? 60_000),
    setInterval(() => {
      for (const connection of connections) connection.closeExpired();
    }, options.checkTokensEveryMs ?? 1000),
  ];
  for (const timer of timers) timer.unref();

  const control = createControlServer({
    name: 'event-hubs-emulator',
    faults,
    transcript,
    verbs: { hubs: () => describe(registries), trim: () => trim().then(() => describe(registries)) },
    unhealthy: () => unhealthy(registries),
  });
  const cutControl = trackSockets(control);
  const stop = async (): Promise<void> => {
    for (const timer of timers) clearInterval(timer);
    for (const { server, cut } of servers) await closeServer(server, cut);
    await closeServer(control, cutControl);
    await opened.close();
  };
  try {
    const started: StartedNamespace[] = [];
    for (const [index, { name, registry, service, server }] of servers.entries()) {
      const { port: first = 0 } = options;
      const port = await listen(server, first === 0 ? 0 : first + index, host);
      const [{ name: keyName, key } = defaultPolicy] = service.policies;
      const connectionString =
        `Endpoint=sb://${addressOf(host, port)};SharedAccessKeyName=${keyName};SharedAccessKey=${key};` +
        'UseDevelopmentEmulator=true;';
      started.push({ name, port, connectionString, registry });
    }
    const controlPort = await listen(control, options.controlPort ?? 0);
    const [main] = started;
    if (main === undefined) throw new RangeError('an emulator needs at least one namespace');
    const amqp = started.map(({ name, port }, index): [string, string] => [
      index === 0 ? 'amqp' : `amqp:${name}`,
      `amqp://${addressOf(host, port)}`,
    ]);
    return {
      namespaces: started,
      port: main.port,
      connectionString: main.connectionString,
      registry: main.registry,
      controlPort,
      endpoints: { ...Object.fromEntries(amqp), control: `http://127.0.0.1:${controlPort}` },
      faults,
      transcript,
      stop,
    };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

/** Host and port as clients write them. */
function addressOf(host: string, port: number): string {
  return `${host === '0.0.0.0' ? 'localhost' : host}:${port}`;
}
