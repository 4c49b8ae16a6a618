import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { openStore } from '@xva/emulator-kit';
import type { HubConfig, NamespaceConfig } from '../config.ts';
import { MemoryDirectory, openDiskDirectory, type SegmentDirectory } from '../log/directory.ts';
import { PartitionLog, type LogOptions } from '../log/partition-log.ts';
import { Hub, HubRegistry, type PartitionStore } from './hub.ts';
import { ProducerTable } from './producers.ts';

/** Thrown when the data directory belongs to a running emulator, or was written for another shape of the hub. */
export class DataDirectoryError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DataDirectoryError';
  }
}

const migrations = [
  `CREATE TABLE hub (
     namespace TEXT NOT NULL, name TEXT NOT NULL, partition_count INTEGER NOT NULL, created_ms INTEGER NOT NULL,
     PRIMARY KEY (namespace, name)) STRICT`,
  `CREATE TABLE owner (one INTEGER PRIMARY KEY CHECK (one = 1), pid INTEGER NOT NULL, since_ms INTEGER NOT NULL) STRICT`,
];

/** Which partition a log belongs to. */
export interface PartitionPlace {
  readonly namespace: string;
  readonly hub: string;
  readonly partition: string;
}

/** The hubs of every namespace, and how to let go of the data directory. */
export interface OpenedHubs {
  readonly registries: readonly HubRegistry[];
  close(): Promise<void>;
}

/** Opens the state file and keeps its lock, which the operating system drops when the process ends however it ends. */
function openState(dataDirectory: string | undefined, nowMs: number): DatabaseSync {
  if (dataDirectory === undefined) return openStore(':memory:', migrations);
  let state: DatabaseSync | undefined;
  try {
    state = openStore(join(dataDirectory, 'state.db'), migrations, 'FULL');
    state.exec('PRAGMA locking_mode = EXCLUSIVE');
    state.prepare('INSERT OR REPLACE INTO owner (one, pid, since_ms) VALUES (1, ?, ?)').run(process.pid, nowMs);
    return state;
  } catch (error) {
    state?.close();
    if (!String(error).includes('database is locked')) throw error;
    throw new DataDirectoryError(`${dataDirectory} is in use by another event-hubs-emulator process`);
  }
}

function register(state: DatabaseSync, namespace: string, hub: HubConfig, nowMs: number): number {
  const key = hub.name.toLowerCase();
  const row = state
    .prepare('SELECT partition_count, created_ms FROM hub WHERE namespace = ? AND name = ?')
    .get(namespace, key) as { partition_count: number; created_ms: number } | undefined;
  if (row !== undefined && row.partition_count > hub.partitionCount) {
    throw new DataDirectoryError(
      `hub ${hub.name} has ${row.partition_count} partitions on disk but ${hub.partitionCount} in the configuration: ` +
        'a hub cannot lose partitions',
    );
  }
  const createdMs = row?.created_ms ?? nowMs;
  state
    .prepare('INSERT OR REPLACE INTO hub (namespace, name, partition_count, created_ms) VALUES (?, ?, ?, ?)')
    .run(namespace, key, hub.partitionCount, createdMs);
  return createdMs;
}

/**
 * Opens every hub of the configuration: in `dataDirectory`, or in memory without one. `wrap` stands between a log and
 * its directory.
 *
 * @throws DataDirectoryError, and CorruptLogError when acknowledged events cannot be read back.
 */
export async function openHubs(
  namespaces: readonly NamespaceConfig[],
  dataDirectory: string | undefined,
  options: LogOptions,
  wrap: (directory: SegmentDirectory, place: PartitionPlace) => SegmentDirectory = (directory) => directory,
): Promise<OpenedHubs> {
  const state = openState(dataDirectory, options.now());
  const logs: PartitionLog[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(logs.map((log) => log.close()));
    state.close();
  };
  const openPartition = async (namespace: string, hub: HubConfig, id: number): Promise<PartitionStore> => {
    const directory: SegmentDirectory =
      dataDirectory === undefined
        ? new MemoryDirectory()
        : await openDiskDirectory(join(dataDirectory, namespace, hub.name.toLowerCase(), String(id)));
    const producers = new ProducerTable();
    const { retentionMs = options.retentionMs, retentionBytes = options.retentionBytes } = hub;
    const log = await PartitionLog.open(
      wrap(directory, { namespace, hub: hub.name, partition: String(id) }),
      { ...options, retentionMs, retentionBytes },
      (record) => producers.note(record),
    );
    logs.push(log);
    return { log, producers };
  };
  const openHub = async (namespace: string, hub: HubConfig): Promise<Hub> => {
    const createdMs = register(state, namespace, hub, options.now());
    const ids = Array.from({ length: hub.partitionCount }, (_, id) => id);
    // All settle before the first failure is passed on, so that none stays open behind it.
    const opened = await Promise.allSettled(ids.map((id) => openPartition(namespace, hub, id)));
    const partitions = opened.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
    return new Hub(hub.name, createdMs, partitions, hub.consumerGroups);
  };
  try {
    const registries: HubRegistry[] = [];
    for (const { name, hubs } of namespaces) {
      const opened: Hub[] = [];
      for (const hub of hubs) opened.push(await openHub(name, hub));
      registries.push(new HubRegistry(name, opened));
    }
    return { registries, close };
  } catch (error) {
    await close();
    throw error;
  }
}
