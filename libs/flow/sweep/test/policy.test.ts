import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { itemsOf, World } from './fakes.ts';
import { mark, recordLine, restore, sweep, sweepPolicySchema, testPolicy, type SweepPolicy } from '../src/index.ts';

const base = { schemaVersion: '1.0', name: 'p', minimumAgeSeconds: 60 } as const;
const rule = (name: string, more: object = {}): object => ({
  name,
  account: 'work',
  container: 'uploads',
  prefix: `${name}/`,
  retainSeconds: 600,
  ...more,
});
const policyOf = (more: object): SweepPolicy =>
  sweepPolicySchema.parse({ ...base, ceiling: { percent: 100 }, ...more });
const day = 86_400_000;
const signal = new AbortController().signal;

describe('a policy is refused by name', () => {
  it.each([
    ['a rule below the minimum age', { rules: { objects: { retainSeconds: 1 } } }, /objects.*below minimumAgeSeconds/s],
    [
      'results before their runs',
      { rules: { runs: { retainSeconds: 900 }, results: { retainSeconds: 600 } } },
      /published results/,
    ],
    [
      'jobs kept longer than their run',
      { rules: { runs: { retainSeconds: 900 }, completedJobs: { retainSeconds: 1000 } } },
      /jobs go with their run/,
    ],
    ['logs without runs', { rules: { logs: { retainSeconds: 900 } } }, /logs belong to runs/],
    [
      'closed letters kept longer',
      { rules: { deadLetters: { retainSeconds: 900, closedRetainSeconds: 1000 } } },
      /closed would be kept longer/,
    ],
    ['a rule for everything', { blobs: [rule('a', { prefix: '' })] }, /matches everything in container uploads/],
    ['everything, narrowed', { blobs: [rule('a', { wholeContainer: true })] }, /but other fields narrow it/],
    [
      'overlapping rules',
      { blobs: [rule('a', { prefix: 'x/' }), rule('b', { prefix: 'x/y/' })] },
      /a and b overlap: both match uploads\/x\/y\//,
    ],
    ['one name twice', { blobs: [rule('a'), rule('a')] }, /two rules are called a/],
    ['the objects by prefix', { blobs: [rule('a', { container: 'objects' })] }, /is judged by rules.objects/],
    [
      'checkpoints by container',
      { blobs: [rule('a', { account: 'ledger', container: 'checkpoints' })] },
      /never taken/,
    ],
    ['checkpoints by class', { blobs: [rule('a', { class: 'checkpoint' })] }, /checkpoints are never taken/],
    ["runs' containers by prefix", { blobs: [rule('a', { container: 'run-xva' })] }, /is judged by rules.runs/],
    ['an unknown class', { blobs: [rule('a', { class: 'junk' })] }, /class/],
    ['an unknown rule', { rules: { everything: { retainSeconds: 600 } } }, /everything/],
    ['a container by wildcard', { blobs: [rule('a', { container: '*' })] }, /name of one container/],
    ['pools by wildcard', { rules: { idlePools: { retainSeconds: 600, pools: ['*'] } } }, /id of one pool/],
    [
      'jobs by a short prefix',
      { rules: { idleJobs: { retainSeconds: 600, where: { idPrefix: 'x' } } } },
      /at least 3 characters/,
    ],
    ['a currency that is none', { prices: { currency: 'euro', gibMonth: 1 } }, /currency/],
  ])('%s', (_name, more, message) => {
    const result = sweepPolicySchema.safeParse({ ...base, ...more });
    const text = result.success
      ? 'accepted'
      : result.error.issues.map(({ path, message: what }) => `${path.join('.')}: ${what}`).join('\n');
    expect(text).toMatch(message);
  });

  it('and every example is taken', () => {
    const folder = fileURLToPath(new URL('../../../../apps/xva-batch-gc/examples/', import.meta.url));
    const names = readdirSync(folder).filter((name) => name.endsWith('.policy.json'));
    expect(names.length).toBeGreaterThan(2);
    for (const name of names) {
      const result = sweepPolicySchema.safeParse(JSON.parse(readFileSync(`${folder}${name}`, 'utf8')));
      expect([name, result.error?.issues ?? []]).toEqual([name, []]);
    }
  });
});

describe('rules by container and prefix', () => {
  it('take by age, last use, metadata, tags, class, state of the run and number per book, and say why they keep', async () => {
    const world = new World();
    const long = new Date(world.now);
    const put = (name: string, more: object = {}): void => world.put(`uploads/${name}`, 'x', more);
    put('a/old');
    put('a/kept', { hold: 'legal-hold' });
    put('used/now', { lastAccessed: new Date(world.now + day) });
    put('used/long-ago', { lastAccessed: long });
    put('used/unknown');
    put('meta/yes', { metadata: { team: 'x', xva_class: 'log' } });
    put('meta/no', { metadata: { team: 'y', xva_class: 'log' } });
    put('meta/class', { metadata: { team: 'x' } });
    put('tags/yes', { tags: { keep: 'no' } });
    put('tags/no');
    put('run/none', { metadata: { xva_run_id: 'xva-20260930-rates-zzzzzzzzzzzzzz' } });
    put('run/unlabelled');
    for (const [index, time] of [1, 2, 3].entries())
      put(`book/${index}`, { metadata: { xva_book: 'RATES' }, lastModified: new Date(world.now - time * 1000) });
    put('else/where');
    world.now += day;
    const policy = policyOf({
      blobs: [
        rule('a'),
        rule('used', { unusedSeconds: 3600 }),
        rule('meta', { metadata: { team: 'x' }, class: 'log' }),
        rule('tags', { tags: { keep: 'no' } }),
        rule('run', { runStates: ['none'] }),
        rule('book', { keepLastPerBook: 2 }),
      ],
    });
    const report = await mark(world.deps(), policy, 'sweep-a');
    expect(itemsOf(world, report).map(({ id }) => id.slice(8))).toEqual([
      'a/old',
      'used/long-ago',
      'meta/yes',
      'tags/yes',
      'run/none',
      'book/2',
    ]);
    expect(report.kept).toEqual({
      'blob:legal-hold': 1,
      'blob:used-lately': 1,
      'blob:last-use-unknown': 1,
      'blob:metadata-not-in-rule': 1,
      'blob:class-unknown': 1,
      'blob:tags-not-in-rule': 1,
      'blob:run-unknown': 1,
      'blob:newest-of-its-book': 2,
    });
    await sweep(world.deps(), policy, report, { signal });
    expect(world.names('uploads')).toHaveLength(10);
    expect(world.names('quarantine')).toHaveLength(6);
    const outcomes = [];
    for await (const one of restore(world.deps(), { report }, 'test')) outcomes.push(one.outcome);
    expect(outcomes).toEqual(Array.from({ length: 6 }, () => 'restored'));
    expect(world.blobs.get('uploads/meta/yes')?.metadata).toEqual({ team: 'x', xva_class: 'log' });
    expect(world.blobs.get('uploads/meta/yes')?.lastModified).toEqual(world.date);
  });

  it('use the account’s own soft delete where it keeps blobs long enough', async () => {
    const world = new World();
    world.softDeleteSeconds = 7 * 86_400;
    world.put('uploads/a/old', 'bytes');
    world.now += day;
    const policy = policyOf({ blobs: [rule('a')] });
    const report = await mark(world.deps(), policy, 'sweep-a');
    const outcome = await sweep(world.deps(), policy, report, { signal });
    expect(outcome).toMatchObject({ acts: [{ outcome: 'swept', how: 'soft-deleted' }] });
    expect(world.names('quarantine')).toEqual([]);
    const outcomes = [];
    for await (const one of restore(world.deps(), { report }, 'test')) outcomes.push(one);
    expect(outcomes).toMatchObject([{ id: 'uploads/a/old', outcome: 'restored' }]);
    expect(world.blobs.get('uploads/a/old')?.text).toBe('bytes');
  });
});

describe('classes of a run', () => {
  const runId = 'xva-20260930-rates-aaaaaaaaaaaaaa';
  const hash = '1'.repeat(64);
  function world(): World {
    const made = new World();
    made.packages.set(hash, [hash]);
    made.put(`objects/${hash}`);
    made.addRun(runId, 'done', hash, made.date.toISOString());
    made.published.add(runId);
    made.put(`run-${runId}/a1/shard-0001/logs/stdout.txt`, 'log');
    made.put(`results/${runId}/published.json`, '{}');
    return made;
  }

  it('logs go before their run, or are moved out when they must outlive it', async () => {
    const soon = world();
    soon.now += day;
    const early = policyOf({ rules: { runs: { retainSeconds: 10 * 86_400 }, logs: { retainSeconds: 3600 } } });
    const report = await mark(soon.deps(), early, 'sweep-a');
    expect(itemsOf(soon, report).map(({ kind, id }) => `${kind} ${id}`)).toEqual([
      `log run-${runId}/a1/shard-0001/logs/stdout.txt`,
    ]);
    const late = policyOf({ rules: { runs: { retainSeconds: 3600 }, logs: { retainSeconds: 10 * 86_400 } } });
    const other = await mark(soon.deps(), late, 'sweep-b');
    await sweep(soon.deps(), late, other, { signal });
    expect(soon.names('logs')).toEqual([`${runId}/a1/shard-0001/logs/stdout.txt`]);
    soon.now += 20 * day;
    const last = await mark(soon.deps(), late, 'sweep-c');
    expect(itemsOf(soon, last).map(({ kind }) => kind)).toEqual(expect.arrayContaining(['log', 'quarantined']));
  });

  it('results go only after their run, the newest per book stay; a restored run is what it was, and pinned', async () => {
    const at = world();
    const policy = policyOf({ rules: { runs: { retainSeconds: 3600 }, results: { retainSeconds: 7200 } } });
    at.now += day;
    const first = await mark(at.deps(), policy, 'sweep-a');
    expect(itemsOf(at, first).map(({ kind }) => kind)).toEqual(['run']);
    await sweep(at.deps(), policy, first, { signal });
    expect(at.records.get(runId)?.record.state).toBe('swept');
    const keep = policyOf({
      rules: { runs: { retainSeconds: 3600 }, results: { retainSeconds: 7200, keepLastPerBook: 1 } },
    });
    expect(itemsOf(at, await mark(at.deps(), keep, 'sweep-b'))).toEqual([]);
    expect(itemsOf(at, await mark(at.deps(), policy, 'sweep-c')).map(({ kind }) => kind)).toEqual(['result']);
    for await (const one of restore(at.deps(), { runId }, 'test')) expect(one.outcome).toBe('restored');
    expect(at.records.get(runId)?.record.state).toBe('done');
    expect(at.names(`run-${runId}`)).toEqual(['a1/shard-0001/logs/stdout.txt', 'a1/shard-0001/task.json']);
    expect(itemsOf(at, await mark(at.deps(), policy, 'sweep-d'))).toEqual([]);
  });

  it('letters wait longer than closed ones; an unknown state waits', async () => {
    const at = new World();
    for (const state of ['waiting', 'replayed', 'discarded', 'odd'])
      at.put(`deadletters/${state}.json`, '{}', { metadata: { xva_letter_state: state } });
    at.put('deadletters/none.json', '{}');
    at.now += day;
    const policy = policyOf({ rules: { deadLetters: { retainSeconds: 10 * 86_400, closedRetainSeconds: 3600 } } });
    const report = await mark(at.deps(), policy, 'sweep-a');
    expect(itemsOf(at, report).map(({ id }) => id)).toEqual(['replayed.json', 'discarded.json']);
    expect(report.kept).toEqual({ 'dead-letter:within-retention': 3 });
  });
});

describe('policy test', () => {
  it('judges a recorded listing, by another policy and at another time, and names a line that is none', async () => {
    const world = new World();
    world.put('uploads/a/old');
    world.put('deadletters/dl.json');
    world.now += day;
    const lines: string[] = [];
    const policy = policyOf({ blobs: [rule('a')] });
    await mark(world.deps(), policy, 'sweep-a', { onLooked: (looked, at) => lines.push(recordLine(looked, at)) });
    expect((await testPolicy(policy, lines)).marked).toEqual([
      { kind: 'blob', id: 'uploads/a/old', rule: 'blobs.a', reason: 'expired' },
    ]);
    const letters = policyOf({ rules: { deadLetters: { retainSeconds: 2 * 86_400 } } });
    expect((await testPolicy(letters, lines)).kept).toEqual({ 'blob:no-rule': 1, 'dead-letter:within-retention': 1 });
    expect((await testPolicy(letters, lines, new Date(world.now + 5 * day))).marked).toHaveLength(1);
    await expect(testPolicy(policy, [...lines, '{"x":1}'])).rejects.toThrow(
      'line 3 of the recorded listing: is no recorded item',
    );
    await expect(testPolicy(policy, ['nonsense'])).rejects.toThrow('line 1 of the recorded listing: is not JSON');
    await expect(
      testPolicy(policy, [
        '{"at":"2026-01-01T00:00:00Z","item":{"kind":"run","id":"x"},"facts":{"runState":"none","pinned":false,"referenced":false}}',
      ]),
    ).rejects.toThrow('lacks what its kind needs');
  });
});
