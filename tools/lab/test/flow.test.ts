import { EventPublisher } from '@xva/azure-event-hubs';
import { buildRunEvent, readFrozen } from '@xva/flow-detect';
import { runDemo, type DemoCheck } from '../src/demo.ts';
import { eventually } from '../src/eventually.ts';
import { historyFaults, jobsOf, strayFaults } from '../src/history.ts';
import { hubConnectionString, hubName } from '../src/layout.ts';
import type { BookRows, RequestRow } from '../src/load-book.ts';
import { numbersOf } from '../src/numbers.ts';
import { commitRequest, identityOf, untilOver } from '../src/undeterred.ts';
import { bookLike, loadDraft } from './support/books.ts';
import { TestLab } from './support/test-lab.ts';

const runTimeoutMs = 90_000;

describe('the whole flow, every component a process', () => {
  let lab: TestLab;
  let rows: BookRows;
  let small: RequestRow;

  beforeAll(async () => {
    lab = await TestLab.open('flow');
  }, 120_000);
  afterAll(async () => {
    await lab.close();
  }, 60_000);

  it('keeps every promise of the demo, on the small book', async () => {
    await lab.evidence(async () => {
      const told: string[] = [];
      const checks = await runDemo(lab.session, {
        book: 'small',
        print: (line) => told.push(line),
        signal: new AbortController().signal,
        timeoutMs: runTimeoutMs,
      });
      const broken = checks.filter((check) => !check.ok);
      if (broken.length > 0) process.stderr.write(`${told.join('\n')}\n`);
      expect(broken).toEqual([]);
      expect(names(checks)).toEqual(
        expect.arrayContaining([
          'the request became a published result',
          'sharded equals unsharded to the last bit',
          'the event delivered again made no second run',
          'the next revision became a new run',
          'dry run marks exactly what the lab seeded',
          'the sweep took exactly these',
        ]),
      );
    });
  }, 240_000);

  it('runs two different books at once, each with the numbers that it has alone', async () => {
    await lab.evidence(async () => {
      rows = await lab.session.loadSample('small');
      small = first(rows);
      // Half of the sets, other settings and another seed: nothing of one book's numbers can pass for the other's.
      const half = bookLike(rows, 'HALF', (draft) => {
        const kept = new Set(['NS_ALDER', 'NS_DANUBE', 'NS_ELBE']);
        draft.nettingSets = draft.nettingSets.filter((set) => kept.has(set.id));
        draft.trades = draft.trades.filter((trade) => kept.has(trade.nettingSetId));
        Object.assign(draft.requests[0] ?? {}, { seed: 7, samples: 60 });
      });
      const whole = await loadDraft(lab.session, bookLike(rows, 'WHOLE'));
      const other = await loadDraft(lab.session, half);
      const together = [whole, other];
      await Promise.all(together.map((request) => commitRequest(lab.session, request)));
      const runs = await Promise.all(together.map((request) => untilOver(lab.session, request, runTimeoutMs)));
      expect(runs.map((run) => [run.requestKey.book, run.state, run.outcome])).toEqual([
        ['WHOLE', 'done', 'complete'],
        ['HALF', 'done', 'complete'],
      ]);
      for (const request of together) {
        const alone = { ...request, revision: 2 };
        await commitRequest(lab.session, alone);
        await untilOver(lab.session, alone, runTimeoutMs);
        const expected = await lab.session.api.results(identityOf(alone).runId);
        expect(await historyFaults(lab.session, [request, alone], expected)).toEqual([]);
        expect(await strayFaults(lab.session, [request, alone])).toEqual([]);
      }
      // The demo ran the same book under another name.
      const demo = numbersOf(await lab.session.api.results(identityOf(small).runId));
      const [ofWhole, ofHalf] = await Promise.all(
        together.map(async (request) => numbersOf(await lab.session.api.results(identityOf(request).runId))),
      );
      expect(ofWhole).toEqual(demo);
      expect(ofHalf).not.toEqual(demo);
    });
  }, 240_000);

  it('makes one run of one event that is delivered many times at once, to every partition', async () => {
    await lab.evidence(async () => {
      const request = await loadDraft(lab.session, bookLike(rows, 'AGAIN'));
      const { eventId, runId } = identityOf(request);
      const done = await lab.session.eventsDone();
      await commitRequest(lab.session, request);
      const expected = await lab.session.api.results(identityOf(small).runId);
      const stored = await eventually(
        'the request is frozen',
        () => lab.session.work.container('requests').get(`${eventId}.json`),
        30_000,
      );
      const publisher = new EventPublisher({
        connectionString: hubConnectionString(lab.session.layout),
        hub: hubName,
      });
      try {
        const copies = Array.from({ length: 20 }, (_, index) => {
          // Each with a time and a trace of its own, as a publisher that was cut off before the acknowledgement sends.
          const trace = `00-${(index + 1).toString(16).padStart(32, '0')}-00f067aa0ba902b7-01`;
          const event = buildRunEvent('run-requests', readFrozen(stored.bytes), trace, new Date());
          return { id: eventId, body: JSON.stringify(event), partitionKey: `key-${index}` };
        });
        await publisher.publish(copies);
        await lab.session.untilEventsDone(done + copies.length + 1);
      } finally {
        await publisher.close();
      }
      await untilOver(lab.session, request, runTimeoutMs);
      expect(await jobsOf(lab.session, runId)).toEqual([`${runId}-a1`]);
      expect(await historyFaults(lab.session, [request], expected)).toEqual([]);
      expect(await strayFaults(lab.session, [request])).toEqual([]);
    });
  }, 120_000);

  it('lost no process on the way', () => {
    expect(lab.events.filter(({ event }) => event === 'died')).toEqual([]);
  });
});

const names = (checks: readonly DemoCheck[]): readonly string[] => checks.map((check) => check.name);

function first(rows: BookRows): RequestRow {
  const [request] = rows.requests;
  if (request === undefined) throw new Error('the sample book has no request');
  return request;
}
