import { BlobAccount } from '@xva/azure-storage';
import { runContainerOf, sha256Hex } from '@xva/contracts';
import {
  escapeHtml,
  mark,
  reportPages,
  sweep,
  sweepPolicySchema,
  type SweepBatch,
  type SweepDeps,
  type SweepOutcome,
} from '@xva/flow-sweep';
import { printable, silentLogger, systemClock } from '@xva/runtime';
import { startBlobStandIn, trialBook, type BlobStandIn, type StandInFault } from '@xva/testkit';
import { createSweepLedger } from '../src/ledger-port.ts';
import { reportText } from '../src/report-text.ts';
import { createSweepStorage } from '../src/storage-port.ts';

const book = trialBook(
  'The collector: faults and hostile inputs',
  'docs/trials/gc-faults.md',
  'apps/xva-batch-gc/test/faults.test.ts',
);
const old = new Date('2020-01-01T00:00:00Z');
const policy = sweepPolicySchema.parse({
  schemaVersion: '1.0',
  name: 'faults',
  minimumAgeSeconds: 60,
  settleSeconds: 0,
  ceiling: { percent: 100 },
  quarantine: { mode: 'off' },
  rules: {
    orphanedRuns: { retainSeconds: 60 },
    objects: { retainSeconds: 60 },
    deadLetters: { retainSeconds: 60 },
    requests: { retainSeconds: 60 },
  },
  blobs: [{ name: 'scratch', account: 'work', container: 'uploads', prefix: 'scratch/', retainSeconds: 60 }],
});
const quarantining = { ...policy, quarantine: { mode: 'copy' as const, keepSeconds: 3_600 } };
const orphan = 'xva-20200101-lost-cccccccccccccc';
const objectName = (index: number): string => sha256Hex(`object ${index}`);

/** No jobs, no records: the faults are Storage's. */
function depsOf(standIn: BlobStandIn, batches = true): SweepDeps {
  const account = new BlobAccount({ connectionString: standIn.connectionString });
  const nothing = async function* (): AsyncGenerator<never> {
    /* nothing */
  };
  return {
    runs: { list: nothing, get: () => Promise.resolve(undefined), replace: () => Promise.resolve(false) },
    pins: {
      list: nothing,
      has: () => Promise.resolve(false),
      put: () => Promise.resolve(),
      remove: () => Promise.resolve(),
    },
    batch: { listJobs: nothing, listPools: nothing } as unknown as SweepBatch,
    storage: createSweepStorage(account, account, { parallelism: 4, batches }),
    ledger: createSweepLedger(account, systemClock),
    clock: { ...systemClock, sleep: () => Promise.resolve() },
    logger: silentLogger,
    actor: 'test',
  };
}

async function seeded(objects = 5): Promise<BlobStandIn> {
  const standIn = await startBlobStandIn();
  for (const name of ['sweeps', 'requests', 'objects', 'deadletters', 'quarantine', 'uploads'])
    standIn.put(name, { name: 'zz', lastModified: old });
  for (let index = 0; index < objects; index += 1)
    standIn.put('objects', { name: objectName(index), lastModified: old });
  standIn.put('deadletters', { name: 'dl.json', lastModified: old });
  standIn.put(runContainerOf(orphan), { name: 'a1/shard-0001/task.json', lastModified: old });
  const container = standIn.containers.get(runContainerOf(orphan));
  if (container !== undefined) standIn.containers.set(runContainerOf(orphan), { ...container, lastModified: old });
  return standIn;
}
const signal = new AbortController().signal;
const left = (standIn: BlobStandIn): number =>
  [...(standIn.containers.get('objects')?.blobs.keys() ?? [])].filter((name) => name !== 'zz').length;
const tally = (outcome: SweepOutcome): string =>
  outcome.outcome === 'refused'
    ? `refused: ${outcome.reason}`
    : Object.entries(outcome.counts)
        .filter(([name]) => name.includes(' object '))
        .map(([name, count]) => `${count} ${name}`)
        .sort()
        .join(', ');

interface Case {
  readonly name: string;
  readonly fault?: Omit<StandInFault, 'times'> & { readonly times?: number };
  readonly before?: (standIn: BlobStandIn) => void;
  readonly batches?: boolean;
  readonly expected: string;
}

const all = '5 swept object unreferenced';
const cases: readonly Case[] = [
  { name: 'nothing', expected: all },
  {
    name: 'a batch is throttled twice (503, Retry-After 0)',
    fault: {
      match: 'POST /devstoreaccount1/objects?',
      status: 503,
      code: 'ServerBusy',
      retryAfter: '0',
      times: 2,
    },
    expected: all,
  },
  {
    name: 'a batch is throttled (429, no header)',
    fault: { match: 'POST /devstoreaccount1/objects?', status: 429, code: 'TooManyRequests', times: 2 },
    expected: all,
  },
  {
    name: 'a batch fails once (500)',
    fault: { match: 'POST /devstoreaccount1/objects?', status: 500, code: 'InternalError', times: 1 },
    expected: all,
  },
  {
    name: 'a batch times out once (408)',
    fault: { match: 'POST /devstoreaccount1/objects?', status: 408, code: 'RequestTimeout', times: 1 },
    expected: all,
  },
  {
    name: 'the connection is reset before a batch',
    fault: { match: 'POST /devstoreaccount1/objects?', status: 0, code: '', times: 1 },
    expected: all,
  },
  {
    name: 'a batch is done and its answer lost',
    fault: {
      match: 'POST /devstoreaccount1/objects?',
      status: 503,
      code: 'ServerBusy',
      retryAfter: '0',
      times: 1,
      afterEffect: true,
    },
    expected: '5 already-gone object absent',
  },
  {
    name: 'batches are refused (400 InvalidInput)',
    fault: { match: 'POST /devstoreaccount1/objects?', status: 400, code: 'InvalidInput', times: 99 },
    expected: all,
  },
  {
    name: 'no right to batches (403)',
    fault: {
      match: 'POST /devstoreaccount1/objects?',
      status: 403,
      code: 'AuthorizationPermissionMismatch',
      times: 99,
    },
    expected: all,
  },
  { name: 'batches are off', batches: false, expected: all },
  {
    name: 'single deletes are throttled',
    batches: false,
    fault: { match: 'DELETE', status: 503, code: 'ServerBusy', retryAfter: '0', times: 3 },
    expected: all,
  },
  {
    name: 'no right to delete (403), batch and single',
    fault: { match: 'DELETE', status: 403, code: 'AuthorizationFailure', times: 99 },
    batches: false,
    expected: '5 failed object error',
  },
  {
    name: 'one part of a batch is throttled',
    fault: { match: `SUB ${objectName(1)}`, status: 503, code: 'ServerBusy', times: 1 },
    expected: all,
  },
  {
    name: 'one blob is under legal hold',
    before: (s) => s.put('objects', { name: objectName(0), lastModified: old, legalHold: true }),
    expected: '4 swept object unreferenced',
  },
  {
    name: 'a legal hold comes after the mark',
    fault: { match: `SUB ${objectName(2)}`, status: 409, code: 'BlobImmutableDueToLegalHold', times: 9 },
    expected: '1 skipped object held, 4 swept object unreferenced',
  },
  {
    name: 'an immutability policy comes after the mark',
    fault: { match: `SUB ${objectName(2)}`, status: 409, code: 'BlobImmutableDueToPolicy', times: 9 },
    expected: '1 skipped object held, 4 swept object unreferenced',
  },
  {
    name: 'a lease comes after the mark (412)',
    fault: { match: `SUB ${objectName(2)}`, status: 412, code: 'LeaseIdMissing', times: 9 },
    expected: '1 skipped object held, 4 swept object unreferenced',
  },
  {
    name: 'immutable until next year',
    before: (s) =>
      s.put('objects', { name: objectName(0), lastModified: old, immutableUntil: new Date(Date.now() + 3e10) }),
    expected: '4 swept object unreferenced',
  },
  {
    name: 'leased',
    before: (s) => s.put('objects', { name: objectName(0), lastModified: old, leased: true }),
    expected: '4 swept object unreferenced',
  },
  {
    name: 'one blob is gone after the list (404)',
    fault: { match: `SUB ${objectName(3)}`, status: 404, code: 'BlobNotFound', times: 9 },
    expected: '1 already-gone object absent, 4 swept object unreferenced',
  },
  {
    name: 'the audit cannot be appended for a moment (503)',
    fault: { match: 'comp=appendblock', status: 503, code: 'ServerBusy', retryAfter: '0', times: 2 },
    expected: all,
  },
  {
    name: 'the progress cannot be written for a moment (503)',
    fault: { match: 'PUT', status: 503, code: 'ServerBusy', retryAfter: '0', times: 1 },
    expected: all,
  },
];

describe('faults of Storage, on a stand-in', () => {
  it.each(cases)('in a sweep: $name', async ({ name, fault, before, batches, expected }) => {
    const standIn = await seeded();
    try {
      before?.(standIn);
      const deps = depsOf(standIn, batches ?? true);
      const report = await mark(deps, policy, 'sweep-a');
      const armed = fault === undefined ? [] : [{ times: 1, ...fault }];
      const wanted = armed.map(({ times }) => times);
      standIn.faults.push(...armed);
      const outcome = await sweep(deps, policy, report, { signal });
      // A fault that never struck would prove nothing.
      armed.forEach(({ times }, index) => expect(times).toBeLessThan(wanted[index] ?? 0));
      expect(tally(outcome)).toBe(expected);
      book.record({ section: 'faults in a sweep', name, observed: expected });
    } finally {
      await standIn.stop();
    }
  });

  it.each([
    ['a page of a list is throttled (503)', 503, 'ServerBusy', 2, 5],
    ['a page of a list fails once (500)', 500, 'InternalError', 1, 5],
    ['the connection is reset in a list', 0, '', 1, 5],
  ] as const)('in a mark: %s', async (name, status, code, times, marked) => {
    const standIn = await seeded();
    try {
      standIn.faults.push({ match: 'objects?', status, code, times, retryAfter: '0' });
      const report = await mark(depsOf(standIn), policy, 'sweep-a');
      expect(report.classes['object']?.items).toBe(marked);
      book.record({ section: 'faults in a mark', name, observed: 'all was seen in the end' });
    } finally {
      await standIn.stop();
    }
  });

  it('in a mark: no right to list: it fails, and no report counts', async () => {
    const standIn = await seeded();
    try {
      const deps = depsOf(standIn);
      standIn.faults.push({ match: 'deadletters?', status: 403, code: 'AuthorizationFailure', times: 99 });
      await expect(mark(deps, policy, 'sweep-a')).rejects.toThrow(/AuthorizationFailure/);
      expect(await deps.ledger.latestReportId()).toBeUndefined();
      book.record({
        section: 'faults in a mark',
        name: 'no right to list a container (403)',
        observed: 'the mark fails by name; no report is left',
      });
    } finally {
      await standIn.stop();
    }
  });

  it('a container that vanishes mid-sweep, or is held, is skipped by name', async () => {
    const standIn = await seeded();
    try {
      const deps = depsOf(standIn);
      const report = await mark(deps, policy, 'sweep-a');
      standIn.containers.delete('objects');
      standIn.put(runContainerOf(orphan), { name: 'held', legalHold: true });
      const outcome = await sweep(deps, policy, report, { signal });
      expect(outcome).toMatchObject({
        counts: { 'already-gone object absent': 5, 'skipped run-container held': 1, 'swept dead-letter expired': 2 },
      });
      book.record({
        section: 'faults in a sweep',
        name: 'a container vanishes, another is under legal hold',
        observed: '5 already-gone object absent, 1 skipped run-container held',
      });
    } finally {
      await standIn.stop();
    }
  });

  it('quarantine that cannot be written takes nothing', async () => {
    const standIn = await seeded();
    try {
      const deps = depsOf(standIn);
      const report = await mark(deps, quarantining, 'sweep-a');
      standIn.faults.push({ match: '/quarantine/sweep-a', status: 403, code: 'AuthorizationFailure', times: 999 });
      const outcome = await sweep(deps, quarantining, report, { signal });
      expect([tally(outcome), left(standIn)]).toEqual(['5 failed object error', 5]);
      expect(standIn.containers.has(runContainerOf(orphan))).toBe(true);
      book.record({
        section: 'faults in a sweep',
        name: 'quarantine cannot be written (403)',
        observed: 'nothing was deleted; each item failed by name',
      });
    } finally {
      await standIn.stop();
    }
  });

  it('a page of the report that was tampered with is refused by name', async () => {
    const standIn = await seeded();
    try {
      const deps = depsOf(standIn);
      const report = await mark(deps, policy, 'sweep-a');
      standIn.put('sweeps', { name: 'pages/sweep-a/000000.json', body: Buffer.from('[{"kind":"everything"}]') });
      await expect(sweep(deps, policy, report, { signal })).rejects.toThrow(/page 0 of report sweep-a/);
      expect(left(standIn)).toBe(5);
      book.record({
        section: 'hostile inputs',
        name: 'a page of the report was changed',
        observed: 'refused with the page named; nothing was deleted',
      });
    } finally {
      await standIn.stop();
    }
  });
});

const names: readonly (readonly [string, string])[] = [
  ['a formula', '=cmd|"/c calc"!A1'],
  ['a plus formula', '+1+1'],
  ['an at formula', '@SUM(1)'],
  ['markup', '<img src=x onerror=alert(1)>'],
  ['quotes and commas', `it's "a", b`],
  ['a line break', 'a\nb'],
  ['an escape sequence', '\u001b[31mred'],
  ['a direction override', 'a\u202etxt.exe'],
  ['percent signs', '%2e%2e%2f'],
  ['a query', 'a?b=c&d#e'],
  ['a backslash', 'a\\b'],
  ['non-Latin letters', '報告書/ü/日本'],
  ['a prototype name', '__proto__'],
  ['a long name', 'n'.repeat(1_000)],
  ['a trailing dot and slash', 'a./b/'],
];

describe('blob names with every legal character', () => {
  it.each(names)('%s', async (what, name) => {
    const standIn = await seeded(0);
    try {
      standIn.put('uploads', { name: `scratch/${name}`, lastModified: old, body: Buffer.from('bytes') });
      standIn.put('uploads', { name: 'kept/a', lastModified: old });
      standIn.put('objects', { name, lastModified: old });
      const deps = depsOf(standIn);
      const report = await mark(deps, quarantining, 'sweep-a');
      const items = [];
      for await (const page of reportPages(deps.ledger, report)) items.push(...page);
      const text = reportText(report, items);
      expect(printable(text.replaceAll('\n', ''))).toBe(text.replaceAll('\n', ''));
      const [csv, html] = ['csv', 'html'].map(
        (format) =>
          standIn.containers.get('sweeps')?.blobs.get(`documents/sweep-a.${format}`)?.body.toString('utf8') ?? '',
      );
      expect(html).toContain(escapeHtml(`uploads/scratch/${name}`));
      expect(html).not.toMatch(/<img|<script/);
      for (const line of (csv ?? '').split('\r\n').slice(1))
        for (const cell of line.split(',')) expect(cell).not.toMatch(/^[=+@\t]/);
      const outcome = await sweep(deps, quarantining, report, { signal });
      expect(outcome).toMatchObject({ counts: { 'swept blob expired': 1 } });
      expect([...(standIn.containers.get('uploads')?.blobs.keys() ?? [])].sort()).toEqual(['kept/a', 'zz']);
      expect(standIn.containers.get('objects')?.blobs.has(name)).toBe(true);
      book.record({
        section: 'hostile inputs',
        name: `a blob is called with ${what}`,
        observed:
          'reported as text, copied to quarantine and deleted, alone; a foreign one of that name in objects stayed',
      });
    } finally {
      await standIn.stop();
    }
  });

  it('one that requests cannot reach is left, by name', async () => {
    const standIn = await seeded(0);
    try {
      standIn.put('uploads', { name: 'scratch/x/../y', lastModified: old });
      standIn.put('uploads', { name: 'scratch/y', lastModified: new Date() });
      const deps = depsOf(standIn);
      const report = await mark(deps, policy, 'sweep-a');
      const outcome = await sweep(deps, policy, report, { signal });
      expect(outcome).toMatchObject({ counts: { 'failed blob error': 1 } });
      expect(standIn.containers.get('uploads')?.blobs.size).toBe(3);
      book.record({
        section: 'hostile inputs',
        name: 'a blob is called x/../y, and y is there too',
        observed: 'left with NameNotAddressable; y is untouched',
      });
    } finally {
      await standIn.stop();
    }
  });

  it('its page says what was tried', () => book.close());
});
