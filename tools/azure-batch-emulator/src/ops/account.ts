import { metadata, type Backend, type Call, type Operation } from '../http/call.ts';
import { badQuery, filterOf, listReply, pageOf, pick, selectOf } from '../http/lists.ts';
import { matches } from '../odata/compile.ts';
import { filterTables } from '../odata/properties.ts';
import { isoTime, parseTime, type Micros } from '../time.ts';
import { renderJobStats, renderResourceStats, renderUsageStats } from './render-stats.ts';

const image = (
  publisher: string,
  offer: string,
  sku: string,
  nodeAgentSKUId: string,
  capabilities: readonly string[],
) => ({
  nodeAgentSKUId,
  imageReference: { publisher, offer, sku, version: 'latest' },
  osType: 'linux',
  capabilities,
  verificationType: 'verified',
});

/** Linux images as Azure lists them; a pool of this emulator takes any and runs on this machine all the same. */
const images = [
  image('canonical', '0001-com-ubuntu-server-jammy', '22_04-lts', 'batch.node.ubuntu 22.04', []),
  image('canonical', 'ubuntu-24_04-lts', 'server', 'batch.node.ubuntu 24.04', []),
  image('debian', 'debian-12', '12', 'batch.node.debian 12', []),
  image('almalinux', 'almalinux-x86_64', '9-gen2', 'batch.node.el 9', []),
  image('microsoft-dsvm', 'ubuntu-hpc', '2204', 'batch.node.ubuntu 22.04', ['DockerCompatible']),
];

const supportedImages: Operation = (_backend, call) => {
  const page = pageOf(call);
  const select = selectOf(call);
  const table = filterTables.supportedimages;
  const filter = filterOf(call, table);
  const rows = images
    .map((row, index) => ({ row, number: index + 1 }))
    .filter(({ row }) => {
      const { publisher, offer, sku } = row.imageReference;
      const { osType, verificationType, nodeAgentSKUId } = row;
      return (
        filter === undefined ||
        matches(filter, table, { osType, verificationType, nodeAgentSKUId, publisher, offer, sku })
      );
    })
    .filter(({ number }) => number > page.after);
  return listReply(call, '/supportedimages', 'supportedimages', page, rows, ({ number }) => number, ({ row }) => pick(row, select)); // prettier-ignore
};

const jobTotals: Operation = (backend, call) => {
  const now = backend.stamps.next();
  const totals = backend.store.accounting.totals(call.account);
  const {
    since = now,
    wall_time = 0,
    wait_time = 0,
    cpu_time = 0,
    succeeded = 0,
    failed = 0,
    retries = 0,
  } = totals ?? {};
  const sums = { created: since, modified: now, wall_time, wait_time, cpu_time, n_succeeded: succeeded, n_failed: failed, retries }; // prettier-ignore
  const entity = renderJobStats(`${call.base}/lifetimejobstats`, sums);
  return { status: 200, json: { ...metadata(call, 'jobstats/@Element'), ...entity } };
};

interface Usage {
  readonly pool_id: string;
  readonly vm_size: string;
  readonly cores: number;
  readonly first: Micros;
  readonly last: Micros;
}

/** Node times of an account between two moments: of nodes that are gone and of nodes that are there. */
function usageOf(backend: Backend, account: string, from: Micros, to: Micros): readonly Usage[] {
  const { store } = backend;
  const there = store.pools.all().filter((pool) => pool.account === account).flatMap((pool) =>
    store.pools.nodes(pool.seq).map((node) => ({
      pool_id: pool.id, vm_size: pool.vm_size, cores: backend.core.options.coresOf(pool.vm_size), first: node.allocated, last: to,
    })),
  ); // prettier-ignore
  return [...store.accounting.usage(account, from, to), ...there]
    .map((usage) => ({ ...usage, first: Math.max(usage.first, from), last: Math.min(usage.last, to) }))
    .filter((usage) => usage.last > usage.first);
}

const coreMicros = (usage: readonly Usage[]): number =>
  usage.reduce((sum, { cores, first, last }) => sum + cores * (last - first), 0);

const poolTotals: Operation = (backend, call) => {
  const now = backend.stamps.next();
  const usage = usageOf(backend, call.account, 0, now);
  const since = usage.reduce((least, { first }) => Math.min(least, first), now);
  const samples = backend.store.pools
    .all()
    .filter(({ account }) => account === call.account)
    .flatMap(({ seq }) => backend.store.accounting.samples(seq));
  return {
    status: 200,
    json: {
      ...metadata(call, 'poolstats/@Element'),
      url: `${call.base}/lifetimepoolstats`,
      startTime: isoTime(since),
      lastUpdateTime: isoTime(now),
      usageStats: renderUsageStats(since, now, coreMicros(usage)),
      resourceStats: renderResourceStats(since, now, samples),
    },
  };
};

function momentOf(call: Call, name: string, fallback: Micros): Micros {
  const text = call.query.get(name);
  if (text === undefined) return fallback;
  const at = parseTime(text);
  if (at === undefined) throw badQuery(name, text, 'it is not an ISO 8601 date and time');
  return at;
}

const hour = 3600 * 1_000_000;

/** Core hours per pool and size; one interval from `starttime` to `endtime` (the last hour by default). */
const usageMetrics: Operation = (backend, call) => {
  const page = pageOf(call);
  const table = filterTables.poolusagemetrics;
  const filter = filterOf(call, table);
  const to = momentOf(call, 'endtime', backend.stamps.next());
  const from = momentOf(call, 'starttime', to - hour);
  if (from >= to) throw badQuery('starttime', isoTime(from), 'it is not before endtime');
  const pools = new Map<string, Usage[]>();
  for (const usage of usageOf(backend, call.account, from, to)) {
    const key = `${usage.pool_id.toLowerCase()}/${usage.vm_size.toLowerCase()}`;
    pools.set(key, [...(pools.get(key) ?? []), usage]);
  }
  const rows = [...pools.values()]
    .map((usage, index) => ({
      usage,
      poolId: usage[0]?.pool_id ?? '',
      vmSize: usage[0]?.vm_size ?? '',
      number: index + 1,
    }))
    .filter(({ poolId, vmSize }) => {
      const record = { poolId: poolId.toLowerCase(), vmSize: vmSize.toLowerCase() };
      return filter === undefined || matches(filter, table, record);
    })
    .filter(({ number }) => number > page.after);
  return listReply(
    call,
    '/poolusagemetrics',
    'poolusagemetrics',
    page,
    rows,
    ({ number }) => number,
    ({ usage, poolId, vmSize }) => ({
      poolId,
      startTime: isoTime(from),
      endTime: isoTime(to),
      vmSize,
      totalCoreHours: coreMicros(usage) / hour,
    }),
  );
};

export const accountOperations = { supportedImages, jobTotals, poolTotals, usageMetrics };
