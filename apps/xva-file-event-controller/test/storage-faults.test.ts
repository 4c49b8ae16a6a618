import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { letLongTimersGo, trialBook } from '@xva/testkit';
import { FaultyProxy, proxyFaults, type ProxyFault } from './faulty-proxy.ts';
import { Lab } from './lab.ts';
import { until, type RunningApp } from './processes.ts';

letLongTimersGo();

const book = trialBook(
  'Event controller: faults of Storage',
  'docs/trials/event-controller-storage-faults.md',
  'apps/xva-file-event-controller/test/storage-faults.test.ts',
);
const lab = new Lab();
const folder = mkdtempSync(join(tmpdir(), 'xva-azurite-'));
let proxy: FaultyProxy;
let app: RunningApp;

beforeAll(async () => {
  await lab.start(['faults'], 4, folder);
  const { blobEndpoint, connectionString } = lab.azurite;
  proxy = await new FaultyProxy(blobEndpoint).start();
  lab.storage = connectionString.replace(new URL(blobEndpoint).origin, proxy.url);
  app = await lab.run('faults', { ownershipExpiryMs: 5_000, balanceIntervalMs: 500 });
  const sample = await lab.freeze();
  await lab.send('faults', [sample]);
  await until(() => lab.hasRun(sample), 'it works');
}, 60_000);

afterAll(async () => {
  await lab.stop();
  await proxy.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The requests of one event, by what they are for. */
const operations: Readonly<Record<string, (method: string, url: string) => boolean>> = {
  'read the request': (method, url) => method === 'GET' && url.includes('/requests/'),
  'look for a part': (method, url) => method === 'HEAD' && url.includes('/objects/'),
  'write a small part': (method, url) => method === 'PUT' && url.includes('/objects/') && !url.includes('comp='),
  'send a block': (method, url) => method === 'PUT' && url.includes('comp=block&'),
  'list the blocks': (method, url) => method === 'PUT' && url.includes('comp=blocklist'),
  'make a part young': (method, url) => method === 'PUT' && url.includes('/objects/') && url.includes('comp=metadata'),
  'write a checkpoint': (method, url) => method === 'PUT' && url.includes('/checkpoint/'),
};
const cells = Object.keys(operations).flatMap((operation) => proxyFaults.map((fault) => [operation, fault] as const));
const filler = '20260930 FX/RATE/EUR/USD 1.1\n'.repeat(40_000);

describe('an event whose Storage fails', () => {
  it.each(cells)(
    '%s: %s',
    async (operation, fault) => {
      const withBlocks = operation.includes('block');
      const texts = { 'Input/market.txt': `${operation} ${fault}\n${withBlocks ? filler : ''}` };
      // Reuse needs a part that is there already: the simulation part is, from the first event.
      const sample = await lab.freeze(operation === 'make a part young' ? {} : { texts });
      const rule = { fault, matches: operations[operation]!, times: 3 };
      proxy.rules.push(rule);
      await lab.send('faults', [sample]);
      await until(() => lab.hasRun(sample) && rule.times < 3, 'one job, in spite of the fault');
      expect(lab.posts(sample)).toBe(1);
      expect(await lab.letters()).toEqual([]);
      rule.times = 0;
      book.record({ section: operation, name: describe_(fault), observed: 'one job, asked for once; no dead letter' });
    },
    40_000,
  );

  it('a dead letter whose writing fails is written once', async () => {
    for (const fault of proxyFaults) {
      const rule = {
        fault,
        matches: (method: string, url: string) => method === 'PUT' && url.includes('/deadletters/'),
        times: 1,
      };
      proxy.rules.push(rule);
      const before = (await lab.letters()).length;
      await lab.send('faults', [Buffer.from(`poison for ${fault}`)]);
      await until(async () => (await lab.letters()).length === before + 1 && rule.times === 0, 'a letter', 30_000);
      book.record({ section: 'write a dead letter', name: describe_(fault), observed: 'one dead letter' });
    }
  }, 60_000);

  it('Azurite ends in order and comes back: events that came meanwhile wait, and readiness says so', async () => {
    const samples = [await lab.freeze(), await lab.freeze()];
    const cut = { fault: 'cut' as const, matches: () => true, times: Infinity };
    proxy.rules.push(cut);
    await lab.send('faults', samples);
    await until(
      async () => {
        const answer = await fetch(`${app.opsUrl}/readyz`);
        return answer.status === 503 && (await answer.text()).includes('work-storage-unavailable');
      },
      'not ready, with the reason',
      30_000,
    );
    await lab.azurite.restart();
    cut.times = 0;
    await until(() => samples.every((sample) => lab.hasRun(sample)), 'all are jobs', 30_000);
    await until(async () => (await fetch(`${app.opsUrl}/readyz`)).ok, 'ready again', 20_000);
    expect(await lab.faultsOfStorage()).toEqual([]);
    const observed = 'not ready, with the reason; one job each afterwards; objects are whole';
    book.record({ section: 'all of Storage', name: 'gone for a while, with an orderly restart', observed });
  }, 90_000);

  it('its page says what was tried', () => book.close());
});

const words: Readonly<Record<ProxyFault, string>> = {
  cut: 'the connection is cut before the request arrives, three times',
  'reply-lost': 'it is done and the reply is lost, three times',
  '503': '503 with Retry-After, three times',
  '429': '429 with Retry-After, three times',
  '500-after': 'it is done and answered 500, three times',
  stall: 'nothing comes, then a cut, three times',
  half: 'half of the answer comes, then a cut, three times',
};
function describe_(fault: ProxyFault): string {
  return words[fault];
}
