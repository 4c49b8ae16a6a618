import { requestFieldsOf, type RequestFields, type RequestSourceLike, type TableRow } from './detect-fakes.ts';

/** One table under test. Leases are a minute and attempts three; details are `someDetails`. */
export interface RequestSourceHarness {
  source(): RequestSourceLike;
  insert(fields?: RequestFields): Promise<string>;
  row(requestId: string): Promise<TableRow | undefined>;
  expireLeases(): Promise<void>;
  /** Lets every row that rests be due. */
  endRests(): Promise<void>;
  close(): Promise<void>;
}

/** What every RequestSource does, the fake included. */
export function requestSourceContract(name: string, open: () => Promise<RequestSourceHarness>): void {
  describe(`RequestSource: ${name}`, () => {
    let table: RequestSourceHarness;
    let source: RequestSourceLike;
    const claimOne = async (): Promise<Awaited<ReturnType<RequestSourceLike['claim']>>['claimed'][number]> => {
      const { claimed } = await source.claim(1);
      if (claimed[0] === undefined) throw new Error('nothing was due');
      return claimed[0];
    };
    beforeEach(async () => {
      table = await open();
      source = table.source();
    });
    afterEach(() => table.close());

    it('gives a row once, with what it says to the last digit', async () => {
      const fields = { quantile: '0.975', priority: 7, strict: true, seed: 2_147_483_647 };
      const requestId = await table.insert(fields);
      const { claimed } = await source.claim(10);
      expect(claimed.map((row) => [row.requestId, row.attempts])).toEqual([[requestId, 1]]);
      expect(claimed[0]?.row.fields).toEqual(requestFieldsOf(fields));
      expect((await source.claim(10)).claimed).toEqual([]);
      expect(await table.row(requestId)).toMatchObject({ status: 'claimed', attempts: 1 });
    });

    it('gives the highest priority first, then the oldest, and no more than asked for', async () => {
      const ids: string[] = [];
      for (const priority of [0, 5, 0, 5]) ids.push(await table.insert({ priority, revision: ids.length + 1 }));
      const first = await source.claim(3);
      expect(first.claimed.map((row) => row.requestId)).toEqual([ids[1], ids[3], ids[0]]);
      expect((await source.claim(3)).claimed.map((row) => row.requestId)).toEqual([ids[2]]);
    });

    it('reads details under the lease', async () => {
      await table.insert();
      const claimed = await claimOne();
      const read = await source.readDetails(claimed);
      expect(read).toMatchObject({
        outcome: 'read',
        row: claimed.row,
        details: { trades: [{ tradeId: 'T1' }], quotes: [{ key: 'FX/RATE/EUR/USD', value: '1.1' }] },
      });
      await table.expireLeases();
      await claimOne();
      expect(await source.readDetails(claimed)).toEqual({ outcome: 'lease-lost' });
    });

    it('completes under the lease, again when asked again, and never for another', async () => {
      const requestId = await table.insert();
      const old = await claimOne();
      await table.expireLeases();
      const holder = await claimOne();
      expect(holder.attempts).toBe(2);
      expect(await source.complete(old, 'a'.repeat(32))).toBe(false);
      expect(await source.renew(old)).toBe(false);
      expect(await source.poison(old, 'late')).toBe(false);
      expect(await source.release(old, { error: 'late', delayMs: 0, giveBack: false })).toBe('lease-lost');
      expect(await source.complete(holder, 'b'.repeat(32))).toBe(true);
      expect(await source.complete(holder, 'b'.repeat(32))).toBe(true);
      expect(await table.row(requestId)).toMatchObject({ status: 'published', eventId: 'b'.repeat(32) });
      await table.expireLeases();
      expect((await source.claim(10)).claimed).toEqual([]);
    });

    it('keeps a renewed lease', async () => {
      await table.insert();
      const claimed = await claimOne();
      await table.expireLeases();
      expect(await source.renew(claimed)).toBe(true);
      expect((await source.claim(10)).claimed).toEqual([]);
    });

    it('lets a released row rest, and gives the attempt back when it was not its fault', async () => {
      const requestId = await table.insert();
      const first = await claimOne();
      const rest = { error: 'the hub is busy', delayMs: 3_600_000, giveBack: true };
      expect(await source.release(first, rest)).toBe('released');
      expect(await table.row(requestId)).toMatchObject({ status: 'new', attempts: 0, lastError: 'the hub is busy' });
      expect((await source.claim(10)).claimed).toEqual([]);
      await table.endRests();
      expect((await claimOne()).attempts).toBe(1);
    });

    it('puts a row aside when its attempts are used up, by release and by expiry, with the last error', async () => {
      const released = await table.insert();
      for (const attempt of [1, 2, 3]) {
        const claimed = await claimOne();
        const outcome = await source.release(claimed, { error: `try ${attempt}`, delayMs: 0, giveBack: false });
        expect(outcome).toBe(attempt === 3 ? 'poisoned' : 'released');
      }
      expect(await table.row(released)).toMatchObject({ status: 'poison', attempts: 3, lastError: 'try 3' });
      const vanished = await table.insert({ revision: 2 });
      for (let attempt = 1; attempt <= 3; attempt += 1) {
        await claimOne();
        await table.expireLeases();
      }
      const { claimed, poisoned } = await source.claim(10);
      expect(claimed).toEqual([]);
      expect(poisoned).toEqual([{ requestId: vanished, reason: 'attempts used up; no worker lived to say why' }]);
      expect(await table.row(vanished)).toMatchObject({ status: 'poison', attempts: 3 });
    });

    it('keeps the reason of a poisoned row', async () => {
      const requestId = await table.insert();
      expect(await source.poison(await claimOne(), 'Samples: too small')).toBe(true);
      expect(await table.row(requestId)).toMatchObject({ status: 'poison', lastError: 'Samples: too small' });
      await table.expireLeases();
      expect((await source.claim(10)).claimed).toEqual([]);
    });

    it('shares the rows between workers that ask at the same time', async () => {
      for (let revision = 1; revision <= 24; revision += 1) await table.insert({ revision });
      const workers = [table.source(), table.source(), table.source()];
      const taken: string[] = [];
      for (let round = 0; round < 6 && taken.length < 24; round += 1) {
        const claims = await Promise.all(workers.map((worker) => worker.claim(4)));
        taken.push(...claims.flatMap(({ claimed }) => claimed.map((row) => row.requestId)));
      }
      expect(new Set(taken).size).toBe(24);
      expect(taken).toHaveLength(24);
    });
  });
}
