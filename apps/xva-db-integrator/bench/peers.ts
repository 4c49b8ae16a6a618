import { BlobAccount } from '@xva/azure-storage';
import { EventPublisher } from '@xva/azure-event-hubs';
import { buildRunEvent, freezeRequest, identityOf, readRequest } from '@xva/flow-detect';
import { newTraceparent } from '@xva/runtime';
import {
  OutboxSource,
  parseDefinitions,
  sessionSql,
  SqlConnection,
  SqlPool,
  type OutboxDefinition,
} from '@xva/sql-polling';
import { silentLogger } from '@xva/runtime';
import { sqlSimulatorLogin } from '@xva/testkit';
import { randomUUID } from 'node:crypto';
import { createPublisherPort, createRequestStore } from '../src/adapters.ts';
import type { Running, World } from './world.ts';

function outbox(): OutboxDefinition {
  const [definition] = parseDefinitions('version: 1\ndefinitions: [{ name: peer, mode: outbox }]\n', 'peer.yaml');
  if (definition?.mode !== 'outbox') throw new Error('not an outbox');
  return definition;
}

/**
 * What anyone would write: the same statements, uploads and events as the integrator's, one row after another within
 * `concurrency` lanes, without leases kept alive, retries, metrics or logs.
 */
export class BareLoop {
  readonly #source: OutboxSource;
  readonly #pool: SqlPool;
  readonly #publisher: EventPublisher;
  readonly #store: ReturnType<typeof createRequestStore>;

  constructor(world: World, sessions: number) {
    this.#pool = new SqlPool(
      () =>
        SqlConnection.connect({
          ...sqlSimulatorLogin,
          host: world.simulator.host,
          port: world.simulator.port,
          encrypt: 'false',
          trustServerCertificate: false,
          connectTimeoutMs: 15_000,
          requestTimeoutMs: 15_000,
          deadlineMs: 60_000,
          sessionSql: sessionSql(2_000),
          appName: 'bare-loop',
        }),
      sessions,
    );
    const definition = outbox();
    const options = { runner: this.#pool, definition, owner: 'bare', newToken: randomUUID, logger: silentLogger };
    this.#source = new OutboxSource(options);
    const work = new BlobAccount({ connectionString: world.azurite.connectionString });
    this.#store = createRequestStore(work.container('requests'));
    this.#publisher = new EventPublisher({ connectionString: world.hub.connectionString, hub: 'runs' });
  }

  /** Claims up to `limit` rows and works them off; how many there were. */
  async pass(limit: number, concurrency: number): Promise<number> {
    const { claimed } = await this.#source.claim(limit);
    const queue = [...claimed];
    const lane = async (): Promise<void> => {
      for (let row = queue.shift(); row !== undefined; row = queue.shift()) {
        const read = await this.#source.readDetails(row);
        const reading = readRequest(row.row);
        if (read.outcome !== 'read' || reading.outcome !== 'valid') throw new Error('the bench made a bad row');
        const identity = identityOf('peer', reading.key);
        const frozen = freezeRequest(identity, reading.key, reading.settings, read.details);
        const traceparent = newTraceparent();
        await this.#store.putIfAbsent(frozen.eventId, frozen.bytes, { ...identity, traceparent });
        const event = buildRunEvent('peer', frozen, traceparent, new Date());
        await createPublisherPort(this.#publisher).publish([event], frozen.key.book);
        await this.#source.complete(row, frozen.eventId);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, lane));
    return claimed.length;
  }

  async close(): Promise<void> {
    this.#pool.close();
    await this.#publisher.close();
  }
}

/** A plain poller: asks, works off what it got one by one, sleeps the interval, asks again. */
export function startPoller(world: World, intervalMs: number, batch: number): Promise<Running> {
  const loop = new BareLoop(world, 1);
  const stopping = new AbortController();
  const running = (async () => {
    while (!stopping.signal.aborted) {
      await loop.pass(batch, 1);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, intervalMs);
        stopping.signal.addEventListener('abort', () => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  })();
  return Promise.resolve({
    pid: process.pid,
    stop: async () => {
      stopping.abort();
      await running;
      await loop.close();
    },
  });
}
