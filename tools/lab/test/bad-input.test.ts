import type { RunView } from '@xva/contracts';
import { eventually } from '../src/eventually.ts';
import { jobsOf } from '../src/history.ts';
import { requestState, type BookRows, type RequestRow } from '../src/load-book.ts';
import { numbersOf, type Results } from '../src/numbers.ts';
import { deliverAgain } from '../src/request.ts';
import { commitRequest, identityOf, untilOver, withSql } from '../src/undeterred.ts';
import { bookLike, loadDraft, tradeOf, withSettings, type DraftBook } from './support/books.ts';
import { nonsense } from './support/nonsense.ts';
import { spoiledBooks, withoutAlder } from './support/spoiled-books.ts';
import { Front } from './support/front.ts';
import { listLetters, replayLetters, showLetter, untilLetter } from './support/letters.ts';
import { TestLab } from './support/test-lab.ts';

const runTimeoutMs = 90_000;

let lab: TestLab;
let front: Front;
let rows: BookRows;
let clean: Results;
/** Requests that the input API answers with nonsense, by book. */
const nonsensical = new Map<string, RequestRow>();

beforeAll(async () => {
  lab = await TestLab.open('bad-input');
  await lab.evidence(async () => {
    front = await Front.open(`http://127.0.0.1:${lab.session.layout.ports.inputApi}`);
    // The event controller meets the input API through the front, and soon loses patience.
    await lab.reconfigure('xva-file-event-controller', { inputApiUrl: front.url, ...impatient });
    rows = await lab.session.loadSample('small');
    const request = rows.requests[0] as RequestRow;
    await commitRequest(lab.session, request);
    await over(request, 'done', 'complete');
    clean = await lab.session.api.results(identityOf(request).runId);
    for (const [index, { book, mode }] of nonsense.entries()) {
      front.misbehave(book, mode);
      // A seed of its own gives parts that Storage does not hold yet.
      nonsensical.set(book, await ask(book, (draft) => withSettings(draft, { seed: 1_000 + index })));
    }
  });
}, 180_000);

afterAll(async () => {
  await lab.close();
  await front.close();
}, 60_000);

/** Between tries, before giving up, and on stopping: shorter than in production, for what is waited for here. */
const impatient = {
  inputApiDeadlineMs: 4_000,
  eventBudgetMs: 15_000,
  operatorRetryMs: 500,
  shutdownGraceTimeMs: 1_000,
  maxPackageBytes: 150_000,
};

/** A test whose failure tells where the logs are. */
function scenario(name: string, body: () => Promise<void>, timeoutMs = 120_000): void {
  it(name, () => lab.evidence(body), timeoutMs);
}

async function over(request: RequestRow, state: RunView['state'], outcome: RunView['outcome']): Promise<RunView> {
  const run = await untilOver(lab.session, request, runTimeoutMs);
  expect({
    state: run.state,
    outcome: run.outcome,
    reasons: run.reasons.filter((r) => r.code !== 'waiting-for-slots'),
  }).toMatchObject({ state, outcome });
  return run;
}

/** Loads a spoiled book and commits its request; quotes and fixings only where they are the spoiled part. */
async function ask(book: string, spoil: (draft: DraftBook) => void, withMarket = false): Promise<RequestRow> {
  const request = await loadDraft(lab.session, bookLike(rows, book, spoil), withMarket);
  await commitRequest(lab.session, request);
  return request;
}

describe('a book with something wrong in one netting set', () => {
  const requests = new Map<string, RequestRow>();

  beforeAll(async () => {
    await lab.evidence(async () => {
      // Each is frozen before the market that they share changes again.
      for (const { book, spoil, withMarket } of spoiledBooks) {
        requests.set(book, await ask(book, spoil, withMarket));
        await frozen(requests.get(book) as RequestRow);
      }
      await loadDraft(lab.session, bookLike(rows, 'REPAIR'), true);
      requests.set('WITHOUT', await ask('WITHOUT', withoutAlder));
    });
  }, 120_000);

  it.each(spoiledBooks)(
    'loses that set and no more: $what',
    ({ book, code, tradeId, names }) =>
      lab.evidence(async () => {
        const request = requests.get(book) as RequestRow;
        await over(request, 'done', 'partial');
        const { summary } = await lab.session.api.results(identityOf(request).runId);
        const rejections = summary.rejections.filter((rejection) => rejection.tradeId === tradeId);
        expect(rejections).toMatchObject([{ nettingSetId: 'NS_ALDER', code }]);
        for (const name of names) expect(rejections[0]?.message).toContain(name);
        expect(new Set(summary.rejections.map((rejection) => rejection.nettingSetId))).toEqual(new Set(['NS_ALDER']));
        expect(summary.coverage.nettingSets).toEqual({ requested: 6, published: 5 });
        // The others have the numbers that they have in the clean book, to the last digit.
        expect(summary.nettingSets).toEqual(clean.summary.nettingSets.filter((set) => set.id !== 'NS_ALDER'));
      }),
    120_000,
  );

  scenario('totals are those of a book that never held the set', async () => {
    const without = requests.get('WITHOUT') as RequestRow;
    await over(without, 'done', 'complete');
    const expected = (await lab.session.api.results(identityOf(without).runId)).summary;
    for (const { book } of spoiledBooks) {
      const { summary } = await lab.session.api.results(identityOf(requests.get(book) as RequestRow).runId);
      expect({ book, totals: summary.totals }).toEqual({ book, totals: expected.totals });
    }
    expect(expected.totals).not.toEqual(clean.summary.totals);
  });

  scenario('strict: the same defect refuses the run, and the next revision repairs it', async () => {
    const request = await ask('STRICT', (draft) => {
      withSettings(draft, { strict: true });
      tradeOf(draft, 'FXO_0000').tradeType = 'FxBarrier';
    });
    const letter = await untilLetter(lab, request);
    expect(letter).toMatchObject({ reason: 'package-refused', state: 'waiting' });
    expect(letter.defects).toMatchObject([{ subject: 'FXO_0000', code: 'unknown-trade-type' }]);
    expect(await lab.session.api.findRun(identityOf(request).runId)).toBeUndefined();
    // What was frozen stays wrong: a replay says so again and makes no run. Repaired data is a new revision.
    expect((await replayLetters(lab, [letter.id])).exitCode).not.toBe(0);
    expect(await untilLetter(lab, request, 2)).toMatchObject({ reason: 'package-refused', state: 'waiting' });
    const repaired = await ask('STRICT', (draft) => withSettings(draft, { strict: true, revision: 2 }));
    await over(repaired, 'done', 'complete');
    const { summary } = await lab.session.api.results(identityOf(repaired).runId);
    expect(summary.nettingSets).toEqual(clean.summary.nettingSets);
    expect(await lab.session.api.listRuns('STRICT')).toHaveLength(1);
  });

  scenario('nothing remains: a dead letter with every defect by name', async () => {
    const request = await ask('HOPELESS', (draft) => {
      for (const trade of draft.trades) trade.tradeType = 'Unheard';
    });
    const letter = await untilLetter(lab, request);
    const named = letter.defects.filter((defect) => defect.code === 'unknown-trade-type').map(({ subject }) => subject);
    expect(named.sort()).toEqual(rows.trades.map((trade) => trade.tradeId).sort());
    expect(await lab.session.api.findRun(identityOf(request).runId)).toBeUndefined();
  });
});

async function frozen(request: RequestRow): Promise<void> {
  const blob = `${identityOf(request).eventId}.json`;
  await eventually('the request is frozen', () => lab.session.work.container('requests').head(blob), 30_000);
}

describe('a malformed request row', () => {
  scenario('is put aside with every column by name, and runs once it was put right', async () => {
    const request = await loadDraft(lab.session, bookLike(rows, 'MALFORMED'));
    const id = await commitRequest(lab.session, { ...request, baseCurrency: 'EURO', samples: 1, quantile: '1.5' });
    const state = await eventually(
      'the row is put aside',
      async () => {
        const found = await withSql(lab.session, (sql) => requestState(sql, id));
        return found?.state === 'poison' ? found : undefined;
      },
      30_000,
    );
    for (const column of ['BaseCurrency', 'Samples', 'Quantile']) expect(state.lastError).toContain(column);
    expect(state.lastError).not.toContain('Seed');
    expect(await lab.session.api.findRun(identityOf(request).runId)).toBeUndefined();
    await withSql(lab.session, (sql) =>
      sql.query(
        'UPDATE xva.RunRequest SET BaseCurrency = @p0, Samples = @p1, Quantile = 0.95, Status = 0, Attempts = 0 WHERE RequestId = CONVERT(bigint, @p2)',
        ['EUR', request.samples, id],
      ),
    );
    await over(request, 'done', 'complete');
    const { summary } = await lab.session.api.results(identityOf(request).runId);
    expect(summary.nettingSets).toEqual(clean.summary.nettingSets);
  });
});

describe('an input API that does not do its part', () => {
  scenario('is down: the event waits and becomes one run when it is back', async () => {
    await lab.session.children.hold('input-api');
    let request: RequestRow;
    try {
      request = await ask('DOWN', () => undefined);
      await eventually('the event waits', async () => front.failuresOf('DOWN') > 1 || undefined, 10_000);
      expect(await lab.session.api.findRun(identityOf(request).runId)).toBeUndefined();
    } finally {
      await lab.session.children.revive('input-api');
    }
    await over(request, 'done', 'complete');
    expect(await listLetters(lab, '--book', request.book)).toEqual([]);
    await onceWithCleanNumbers(request);
  });

  it.each(nonsense)('answers $what: a dead letter that says so, and no run', ({ book, reason, says }) =>
    lab.evidence(async () => {
      const request = nonsensical.get(book) as RequestRow;
      const letter = await untilLetter(lab, request);
      expect(letter).toMatchObject({ reason, state: 'waiting' });
      expect(letter.message).toMatch(says);
      expect(await lab.session.api.findRun(identityOf(request).runId)).toBeUndefined();
    }),
  );

  scenario('answers as it should again: one command replays them all, each becomes one run', async () => {
    const requests = [...nonsensical.values()];
    for (const { book } of requests) front.behave(book);
    const dry = await replayLetters(lab, ['--reason', 'package-invalid'], false);
    expect(dry.answers.map(({ would }) => would)).toEqual(['replay', 'replay']);
    for (const reason of new Set(nonsense.map((one) => one.reason))) {
      const { exitCode, answers } = await replayLetters(lab, ['--reason', reason]);
      expect(exitCode).toBe(0);
      const told = nonsense.filter((one) => one.reason === reason);
      expect(answers.map(({ existed }) => existed)).toEqual(told.map(() => false));
    }
    for (const request of requests) await over(request, 'done', 'complete');
    for (const request of requests) await staysOneRun(request);
  });

  scenario(
    'makes a package over the size limit: a dead letter, and one run by replay under a higher limit',
    async () => {
      const request = await ask('BIG', (draft) => {
        const pattern = tradeOf(draft, 'FXF_0001');
        for (let number = 0; number < 120; number += 1) draft.trades.push({ ...pattern, tradeId: `FXF_BIG_${number}` });
        withSettings(draft, { samples: 2 });
      });
      const letter = await untilLetter(lab, request);
      expect(letter.reason).toBe('package-invalid');
      expect(letter.message).toMatch(/the package has \d{6} bytes, at most 150000/);
      await lab.reconfigure('xva-file-event-controller', { maxPackageBytes: 100_000_000 });
      const { exitCode, answers } = await replayLetters(lab, [letter.id]);
      expect({ exitCode, answers }).toMatchObject({ exitCode: 0, answers: [{ existed: false }] });
      await over(request, 'done', 'complete');
      await staysOneRun(request);
      expect((await replayLetters(lab, [letter.id])).exitCode).not.toBe(0);
    },
  );
});

describe('settings that are wrong, a service that is away', () => {
  scenario('a wrong API key of the controller: said clearly, nothing lost, one run after the repair', async () => {
    const { submitterKey } = lab.session.layout.secrets;
    await lab.reconfigure('xva-file-event-controller', {
      controllerApiKey: 'not-the-key-of-anybody',
      operatorRetryMs: 500,
    });
    const request = await ask('KEY', () => undefined);
    const { eventId, runId } = identityOf(request);
    const line = await lab.untilLogged('xva-file-event-controller', new RegExp(`${eventId}.*job-api-refuses-us`));
    expect(line).toMatch(/401/);
    expect(line).not.toContain('not-the-key-of-anybody');
    expect(await lab.session.api.findRun(runId)).toBeUndefined();
    expect(await listLetters(lab, '--book', request.book)).toEqual([]);
    await lab.reconfigure('xva-file-event-controller', { controllerApiKey: submitterKey });
    await over(request, 'done', 'complete');
    await onceWithCleanNumbers(request);
  });

  scenario('an unreachable Batch account: the run waits, says why, and completes when it is back', async () => {
    await lab.session.children.hold('azure-batch-emulator');
    let request: RequestRow;
    try {
      request = await ask('NOBATCH', () => undefined);
      const waiting = await eventually(
        'the waiting run says why',
        async () => {
          const run = await lab.session.api.findRun(identityOf(request).runId);
          return run?.reasons.some((reason) => /batch/i.test(`${reason.code} ${reason.message}`)) ? run : undefined;
        },
        30_000,
      );
      expect(['queued', 'submitting']).toContain(waiting.state);
    } finally {
      await lab.session.children.revive('azure-batch-emulator');
    }
    await over(request, 'done', 'complete');
    await onceWithCleanNumbers(request);
  });
});

/** The run of a replayed letter: the letter is closed, and its event delivered again changes nothing. */
async function staysOneRun(request: RequestRow): Promise<void> {
  const { eventId, runId } = identityOf(request);
  const before = await lab.session.api.listRuns(request.book);
  expect(before.map((run) => run.runId)).toEqual([runId]);
  const done = await lab.session.eventsDone();
  await deliverAgain(lab.session, await commitRequest(lab.session, request));
  await lab.session.untilEventsDone(done + 1);
  expect(await lab.session.api.listRuns(request.book)).toEqual(before);
  expect(await jobsOf(lab.session, runId)).toEqual([`${runId}-a1`]);
  expect((await showLetter(lab, eventId)).state).toBe('replayed');
}

async function onceWithCleanNumbers(request: RequestRow): Promise<void> {
  const { runId } = identityOf(request);
  expect((await lab.session.api.listRuns(request.book)).map((run) => run.runId)).toEqual([runId]);
  expect(await jobsOf(lab.session, runId)).toEqual([`${runId}-a1`]);
  expect(numbersOf(await lab.session.api.results(runId))).toEqual(numbersOf(clean));
}
