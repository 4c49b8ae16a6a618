import fc from 'fast-check';
import { startServer, type TestServer } from './server.ts';
import { Client } from './client.ts';

let server: TestServer;
let client: Client;
let reader: Client;

beforeAll(async () => {
  server = await startServer();
  client = await Client.open(server.address);
  reader = await Client.open(server.address);
  await client.query(
    'ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON; CREATE TABLE dbo.M (Id int NOT NULL PRIMARY KEY, S int NULL, U int NULL, INDEX IX_S (S, Id DESC)); CREATE UNIQUE INDEX UX_U ON dbo.M (U) WHERE U IS NOT NULL',
  );
});
afterAll(async () => {
  await client.close();
  await reader.close();
  await server.stop();
});

type State = ReadonlyMap<number, { readonly s: number | null; readonly u: number | null }>;

type Step =
  | { readonly do: 'insert'; readonly id: number; readonly s: number | null; readonly u: number | null }
  | { readonly do: 'update'; readonly from: number; readonly s: number | null }
  | { readonly do: 'key'; readonly id: number; readonly u: number | null }
  | { readonly do: 'delete'; readonly s: number }
  | { readonly do: 'begin' | 'commit' | 'rollback' | 'save' | 'back' | 'openSnapshot' | 'closeSnapshot' };

const small = fc.integer({ min: 0, max: 4 });
const nullable = fc.option(small, { nil: null });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('insert' as const),
      id: fc.integer({ min: 0, max: 12 }),
      s: nullable,
      u: fc.option(fc.integer({ min: 0, max: 12 }), { nil: null }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('update' as const), from: small, s: nullable }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('key' as const),
      id: fc.integer({ min: 0, max: 12 }),
      u: fc.option(fc.integer({ min: 0, max: 12 }), { nil: null }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), s: small }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'begin' as const,
        'commit' as const,
        'rollback' as const,
        'save' as const,
        'back' as const,
        'openSnapshot' as const,
        'closeSnapshot' as const,
      ),
    }),
  },
);

const text = (value: number | null): string => (value === null ? 'NULL' : String(value));

/** What the statement does to the state; undefined when it must fail with 2627 or 2601. */
function apply(state: State, one: Step): State | undefined {
  const next = new Map(state);
  const taken = (u: number | null, except: number): boolean =>
    u !== null && [...state].some(([id, row]) => id !== except && row.u === u);
  switch (one.do) {
    case 'insert':
      if (state.has(one.id) || taken(one.u, -1)) return undefined;
      next.set(one.id, { s: one.s, u: one.u });
      return next;
    case 'update':
      for (const [id, row] of state) if (row.s === one.from) next.set(id, { ...row, s: one.s });
      return next;
    case 'key': {
      const row = state.get(one.id);
      if (row === undefined) return next;
      if (taken(one.u, one.id)) return undefined;
      next.set(one.id, { ...row, u: one.u });
      return next;
    }
    case 'delete':
      for (const [id, row] of state) if (row.s === one.s) next.delete(id);
      return next;
    default:
      return next;
  }
}

const statement = (one: Step): string => {
  switch (one.do) {
    case 'insert':
      return `INSERT dbo.M VALUES (${one.id}, ${text(one.s)}, ${text(one.u)})`;
    case 'update':
      return `UPDATE dbo.M SET S = ${text(one.s)} WHERE S = ${one.from}`;
    case 'key':
      return `UPDATE dbo.M SET U = ${text(one.u)} WHERE Id = ${one.id}`;
    case 'delete':
      return `DELETE dbo.M WHERE S = ${one.s}`;
    default:
      return '';
  }
};

/** Reads the table by its primary key, by the other indexes and without any, and demands that all agree with the model. */
async function compare(who: Client, state: State): Promise<void> {
  const expected = [...state].sort(([a], [b]) => a - b).map(([Id, { s, u }]) => ({ Id, S: s, U: u }));
  const { sets } = await who.query(`SELECT Id, S, U FROM dbo.M ORDER BY Id;
    SELECT Id FROM dbo.M WHERE S = 2 ORDER BY Id DESC; SELECT Id FROM dbo.M WHERE S + 0 = 2 ORDER BY Id DESC;
    SELECT Id FROM dbo.M WHERE S IS NULL ORDER BY Id; SELECT Id FROM dbo.M WHERE S > 1 AND S <= 3 ORDER BY S, Id DESC;
    SELECT Id FROM dbo.M WHERE U = 3 AND U IS NOT NULL; SELECT Id FROM dbo.M WHERE Id BETWEEN 3 AND 8 AND S IN (0, 1, 4) ORDER BY Id;
    SELECT TOP (3) Id FROM dbo.M WHERE (S = 1 AND Id > 2) OR (S = 3 AND U IS NULL) ORDER BY Id DESC; SELECT TOP (2) Id FROM dbo.M WHERE S IN (4, 0) ORDER BY Id`);
  const pick = (test: (row: (typeof expected)[number]) => boolean): { Id: number }[] =>
    expected.filter(test).map(({ Id }) => ({ Id }));
  expect(sets[0]).toEqual(expected);
  expect(sets[1]).toEqual(pick(({ S }) => S === 2).reverse());
  expect(sets[2]).toEqual(sets[1]);
  expect(sets[3]).toEqual(pick(({ S }) => S === null));
  expect(sets[4]).toEqual([...pick(({ S }) => S === 2).reverse(), ...pick(({ S }) => S === 3).reverse()]);
  expect(sets[5]).toEqual(pick(({ U }) => U === 3));
  expect(sets[7]).toEqual(
    pick(({ Id, S, U }) => (S === 1 && Id > 2) || (S === 3 && U === null))
      .reverse()
      .slice(0, 3),
  );
  expect(sets[8]).toEqual(pick(({ S }) => S === 4 || S === 0).slice(0, 2));
  expect(sets[6]).toEqual(pick(({ Id, S }) => Id >= 3 && Id <= 8 && S !== null && [0, 1, 4].includes(S)));
}

it('agrees with a model through transactions, savepoints, failed statements and open snapshots, by every index', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      await reader.query('IF @@TRANCOUNT > 0 ROLLBACK');
      await client.query('IF @@TRANCOUNT > 0 ROLLBACK; DELETE dbo.M');
      let committed: State = new Map();
      let state = committed;
      let saved: State | undefined;
      let open = false;
      let snapshot: State | undefined;
      for (const one of steps) {
        if (one.do === 'begin' && !open) {
          await client.query('BEGIN TRAN');
          open = true;
          saved = undefined;
        } else if (one.do === 'commit' && open) {
          await client.query('COMMIT');
          open = false;
          committed = state;
        } else if (one.do === 'rollback' && open) {
          await client.query('ROLLBACK');
          open = false;
          state = committed;
        } else if (one.do === 'save' && open) {
          await client.query('SAVE TRAN s');
          saved = state;
        } else if (one.do === 'back' && open && saved !== undefined) {
          await client.query('ROLLBACK TRAN s');
          state = saved;
        } else if (one.do === 'openSnapshot' && snapshot === undefined) {
          await reader.query('SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT COUNT(*) AS n FROM dbo.M');
          snapshot = committed;
        } else if (one.do === 'closeSnapshot' && snapshot !== undefined) {
          await reader.query('COMMIT');
          snapshot = undefined;
        } else if (statement(one) !== '') {
          const next = apply(state, one);
          if (next === undefined) expect([2601, 2627]).toContain(await client.errorNumber(statement(one)));
          else {
            await client.query(statement(one));
            state = next;
            if (!open) committed = state;
          }
        }
        await compare(client, state);
        if (snapshot !== undefined) await compare(reader, snapshot);
      }
      if (snapshot !== undefined) await reader.query('COMMIT');
    }),
    { numRuns: 60 },
  );
}, 60_000);
