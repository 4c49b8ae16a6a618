/**
 * `npm run bench -- packages [--quick] [--requests N]`: requests that share one market, stored by the flow through the
 * blob adapter on Azurite (a process of its own), against uploading each package whole, as a script without a manifest
 * of hashes must. What is stored is read back and compared.
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { BlobAccount } from '@xva/azure-storage';
import { Bulkhead, storePackage, type StoredPackage } from '@xva/flow-package';
import { sampleEvent, startAzurite, type SampleEvent } from '@xva/testkit';
import { BlobWorkObjects } from '../src/stores.ts';
import { heapMegabytes, print } from './figures.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, requests: { type: 'string' } } });
const count = Number(values.requests ?? (values.quick ? 40 : 1_000));
const wholeCount = Math.min(count, values.quick ? 10 : 100);
const atOnce = 16;
const megabyte = 2 ** 20;

/** 2 MiB of quotes that all requests share, and a portfolio of 20 KiB that is each one's own. */
const market = '20260930 IR_SWAP/RATE/EUR/2D/6M/10Y 0.0231450000\n'.repeat(42_000);
const portfolio = '<Trade id="T"><TradeType>Swap</TradeType></Trade>'.repeat(420);
const sampleOf = (index: number): SampleEvent =>
  sampleEvent({
    revision: index + 1,
    texts: { 'Input/market.txt': market, 'Input/portfolio.xml': `<Portfolio n="${index}">${portfolio}</Portfolio>` },
  });

const azurite = await startAzurite();
try {
  const account = new BlobAccount({ connectionString: azurite.connectionString });
  const [requests, objects, whole] = ['requests', 'objects', 'whole'].map((name) => account.container(name));
  await Promise.all([objects!.ensure(), whole!.ensure()]);
  const store = new BlobWorkObjects(requests!, objects!);
  const tools = {
    objects: store,
    transfers: new Bulkhead(32),
    largeParts: new Bulkhead(4),
    smallPartBytes: megabyte,
    crashPoint: () => undefined,
  };
  const { signal } = new AbortController();

  const inParallel = async (total: number, work: (index: number) => Promise<void>): Promise<number> => {
    let next = 0;
    const started = performance.now();
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (let index = next++; index < total; index = next++) await work(index);
      }),
    );
    return performance.now() - started;
  };

  // The first package brings the market; the others find it there.
  let fetched = 0;
  const results: StoredPackage[] = [];
  const one = async (index: number): Promise<void> => {
    const sample = sampleOf(index);
    const openPart = async function* (_packageId: string, sha256: string): AsyncGenerator<Uint8Array> {
      const bytes = sample.parts.get(sha256)!;
      fetched += bytes.length;
      for (let at = 0; at < bytes.length; at += 65_536) yield await Promise.resolve(bytes.subarray(at, at + 65_536));
    };
    const context = { signal, traceparent: sample.event.traceparent, eventId: sample.event.id };
    const found = { manifest: sample.manifest, packageId: sample.packageId, bytes: sample.manifestBytes };
    results.push(await storePackage(found, { ...tools, openPart }, context));
  };
  await one(0);
  const heapBefore = heapMegabytes();
  const ms = await inParallel(count - 1, (index) => one(index + 1));
  const heapAfter = heapMegabytes();
  const uploaded = results.reduce((sum, result) => sum + result.uploadedBytes, 0);
  const packageBytes = sampleOf(0).manifest.parts.reduce((sum, part) => sum + part.size, 0);

  // Read back: the market once, each portfolio and manifest once, all of them what their names say.
  let blobs = 0;
  let stored = 0;
  const marketHash = createHash('sha256').update(market).digest('hex');
  let markets = 0;
  for await (const { name, size } of objects!.list()) {
    blobs += 1;
    stored += size;
    if (name === marketHash) markets += 1;
  }
  for (let index = 0; index < count; index += Math.ceil(count / 50)) {
    const sample = sampleOf(index);
    for (const [name, bytes] of [...sample.parts, [sample.packageId, sample.manifestBytes] as const]) {
      if (!(await objects!.get(name))?.bytes.equals(bytes)) throw new Error(`object ${name} is not what it should be`);
    }
  }
  // Besides one market and one simulation: a portfolio and a manifest each.
  if (markets !== 1 || blobs !== 2 + 2 * count) throw new Error(`${markets} markets, ${blobs} objects`);

  const wholeMs = await inParallel(wholeCount, async (index) => {
    const sample = sampleOf(index);
    for (const { path, sha256 } of sample.manifest.parts) {
      await whole!.put(`${sample.event.id}/${path}`, sample.parts.get(sha256)!);
    }
    await whole!.put(`${sample.event.id}/manifest.json`, sample.manifestBytes);
  });

  const rate = ((count - 1) / ms) * 1_000;
  const wholeRate = (wholeCount / wholeMs) * 1_000;
  print(`${count} requests that share one market of ${(market.length / megabyte).toFixed(1)} MiB, ${atOnce} at once`);
  print(
    `flow: ${rate.toFixed(1)} packages/s; ${(uploaded / megabyte).toFixed(1)} MiB of parts uploaded, ${(fetched / megabyte).toFixed(1)} MiB fetched; ${blobs} objects, ${(stored / megabyte).toFixed(1)} MiB stored; the market once`,
  );
  print(
    `each package whole: ${wholeRate.toFixed(1)} packages/s (${wholeCount} of them); ${((packageBytes * count) / megabyte).toFixed(1)} MiB for ${count}`,
  );
  print(
    `ratio: ${(rate / wholeRate).toFixed(2)}x the packages/s, ${((packageBytes * count) / uploaded).toFixed(1)}x fewer bytes`,
  );
  print(`heap ${heapBefore.toFixed(1)} MiB after one package, ${heapAfter.toFixed(1)} MiB after ${count}`);
} finally {
  await azurite.stop();
}
