import { StorageError, type BlobAccount, type Collected } from '@xva/azure-storage';
import { ledgerContainers, manifestSchema, parseContractText, resultPaths, workContainers } from '@xva/contracts';
import type { BlobPlace, SweepStorage } from '@xva/flow-sweep';

export interface StorageOptions {
  readonly parallelism: number;
  readonly batches: boolean;
  readonly onThrottle?: (limit: number) => void;
}

/** Seconds of a lease on a run's container, renewed while it is held: the shortest there is, so that a dead collector holds nothing for long. */
const leaseSeconds = 15;

/** Storage as the sweep flow needs it; containers are named here and nowhere else in the collector. */
export function createSweepStorage(work: BlobAccount, ledger: BlobAccount, options: StorageOptions): SweepStorage {
  const accounts = { work, ledger } as const;
  const collectors = { work: work.collector(options), ledger: ledger.collector(options) } as const;
  const of = ({ account, container }: BlobPlace): Collected => collectors[account](container);
  const objects = work.container(workContainers.objects);
  const results = ledger.container(ledgerContainers.results);
  const kept = new Map<string, Promise<number>>();
  const ensured = new Map<string, Promise<unknown>>();

  const keptDays = (account: 'work' | 'ledger'): Promise<number> => {
    // Without the right to ask nothing is known to be kept.
    const asked =
      kept.get(account) ??
      accounts[account].softDelete().then(
        ({ blobDays }) => blobDays,
        () => 0,
      );
    kept.set(account, asked);
    return asked;
  };
  const ensure = ({ account, container }: BlobPlace): Promise<unknown> => {
    const key = `${account} ${container}`;
    const made = ensured.get(key) ?? accounts[account].container(container).ensure();
    ensured.set(key, made);
    return made;
  };
  const findContainer = async (name: string) => {
    const metadata = await work.container(name).metadata();
    if (metadata === undefined) return undefined;
    for await (const container of work.listContainers(name)) if (container.name === name) return container;
    return undefined;
  };

  return {
    listRunContainers: () => work.listContainers('run-'),
    headRunContainer: findContainer,
    holdRunContainer: async (name) => {
      const collected = collectors.work(name);
      const lease = await collected.leaseContainer(leaseSeconds);
      if (lease === undefined) return (await work.container(name).exists()) ? 'leased' : 'absent';
      // A long copy to quarantine must not outlive the lease.
      const timer = setInterval(() => void lease.renew().catch(() => false), (leaseSeconds / 3) * 1000).unref();
      return {
        delete: async () => {
          const outcome = await collected.deleteContainer(lease.id);
          if (outcome !== 'held') clearInterval(timer);
          return outcome;
        },
        release: async () => {
          clearInterval(timer);
          await lease.release();
        },
      };
    },
    makeRunContainer: async (name, metadata) => {
      try {
        await work.container(name).ensure(metadata);
        return true;
      } catch (error) {
        if (error instanceof StorageError && error.code === 'ContainerBeingDeleted') return false;
        throw error;
      }
    },
    list: (place, { prefix, split, tags }) => of(place).walk({ prefix, split, tags, parallelism: options.parallelism }),
    head: (place, name) => accounts[place.account].container(place.container).head(name),
    touch: async (place, name) => {
      const container = accounts[place.account].container(place.container);
      const facts = await container.head(name);
      if (facts === undefined) return 'gone';
      try {
        return await container.touch(facts);
      } catch (error) {
        // A lease asks for its id (412) and may end soon; a hold or an immutability policy forbids it (409).
        if (error instanceof StorageError && error.status === 412) return 'leased';
        if (error instanceof StorageError && error.status === 409) return 'held';
        throw error;
      }
    },
    read: async (place, name) =>
      (await accounts[place.account].container(place.container).get(name))?.bytes.toString('utf8'),
    delete: (place, blobs) => of(place).delete(blobs),
    copy: async (from, blob, to, name, metadata) => {
      await ensure(to);
      return of(from).copy(blob, of(to), name, metadata);
    },
    keepsDeleted: async (place, seconds) => (await keptDays(place.account)) * 86_400 >= seconds,
    undelete: async (place, name) => ((await keptDays(place.account)) === 0 ? false : of(place).undelete(name)),
    packageObjects: async (packageId) => {
      const blob = await objects.get(packageId);
      if (blob === undefined) return undefined;
      const manifest = parseContractText(manifestSchema, blob.bytes.toString('utf8'), `manifest ${packageId}`);
      return [packageId, ...manifest.parts.map((part) => part.sha256)];
    },
    hasPublishedResult: async (runId) => (await results.head(resultPaths.pointer(runId))) !== undefined,
  };
}
