/*
 * Contracts of the package flow's stores. The shapes are said again: the flow's tests use this kit, so the kit cannot
 * import the flow. The compiler holds the two together wherever a suite is given a real one.
 */
export interface WorkObjectsLike {
  readRequest(name: string, maxBytes: number): Promise<Uint8Array | undefined>;
  findObject(name: string): Promise<{ size: number; touch(): Promise<'touched' | 'gone'> } | undefined>;
  putObject(name: string, bytes: Uint8Array): Promise<'created' | 'exists'>;
  putObjectStream(name: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<'created' | 'exists'>;
}

export interface WorkObjectsHarness {
  readonly objects: WorkObjectsLike;
  putRequest(name: string, bytes: Uint8Array): Promise<void>;
  readObject(name: string): Promise<Uint8Array | undefined>;
  deleteObject(name: string): Promise<void>;
}

async function* inChunks(bytes: Uint8Array, size: number, failAt = Infinity): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    if (at >= failAt) throw new Error('cut');
    yield bytes.subarray(at, at + size);
    await Promise.resolve();
  }
}

/** What every WorkObjects does, the fake included. */
export function workObjectsContract(name: string, open: () => Promise<WorkObjectsHarness>): void {
  describe(`WorkObjects: ${name}`, () => {
    let harness: WorkObjectsHarness;
    let objects: WorkObjectsLike;
    const { signal } = new AbortController();
    const hash = (digit: string): string => digit.repeat(64);
    beforeEach(async () => {
      harness = await open();
      ({ objects } = harness);
    });

    it('reads a request whole, reads no more than the limit, and says when there is none', async () => {
      await harness.putRequest('a.json', Buffer.from('0123456789'));
      expect(Buffer.from((await objects.readRequest('a.json', 100)) ?? []).toString()).toBe('0123456789');
      expect((await objects.readRequest('a.json', 4))?.length).toBe(4);
      expect(await objects.readRequest('b.json', 4)).toBeUndefined();
    });

    it('writes an object once: the second writer finds it there and changes nothing', async () => {
      expect(await objects.putObject(hash('1'), Buffer.from('first'))).toBe('created');
      expect(await objects.putObject(hash('1'), Buffer.from('other'))).toBe('exists');
      const again = inChunks(Buffer.from('third'), 2);
      expect(await objects.putObjectStream(hash('1'), again, signal)).toBe('exists');
      expect(Buffer.from((await harness.readObject(hash('1'))) ?? []).toString()).toBe('first');
    });

    it('streams an object whole, or leaves nothing when the stream fails', async () => {
      const big = Buffer.alloc(5 * 1024 * 1024, 'xva');
      expect(await objects.putObjectStream(hash('2'), inChunks(big, 700_000), signal)).toBe('created');
      expect(Buffer.compare(Buffer.from((await harness.readObject(hash('2'))) ?? []), big)).toBe(0);
      await expect(objects.putObjectStream(hash('3'), inChunks(big, 700_000, 4_500_000), signal)).rejects.toThrow(
        'cut',
      );
      expect(await objects.findObject(hash('3'))).toBeUndefined();
    });

    it('finds an object with its size and touches it, unless it has gone', async () => {
      await objects.putObject(hash('4'), Buffer.from('12345'));
      const found = await objects.findObject(hash('4'));
      expect(found?.size).toBe(5);
      expect(await found?.touch()).toBe('touched');
      const stale = await objects.findObject(hash('4'));
      await harness.deleteObject(hash('4'));
      expect(await stale?.touch()).toBe('gone');
      expect(await objects.findObject(hash('5'))).toBeUndefined();
    });
  });
}

interface LetterLike {
  readonly id: string;
  readonly message: string;
  readonly state: string;
  readonly reason: string;
}

export interface DeadLettersLike<L extends LetterLike> {
  get(id: string): Promise<{ readonly letter: L; readonly version: string } | undefined>;
  put(letter: L, version: string | undefined): Promise<boolean>;
  list(): AsyncIterable<{ readonly id: string; readonly state: string; readonly reason: string }>;
}

/** What every DeadLetters does, the fake included. `letter` makes one with that id and message. */
export function deadLettersContract<L extends LetterLike>(
  name: string,
  open: () => Promise<DeadLettersLike<L>>,
  letter: (id: string, message: string) => L,
): void {
  describe(`DeadLetters: ${name}`, () => {
    let letters: DeadLettersLike<L>;
    const id = (digit: string): string => digit.repeat(32);
    beforeEach(async () => {
      letters = await open();
    });

    it('of two first writers one wins', async () => {
      const results = await Promise.all(['x', 'y'].map((text) => letters.put(letter(id('1'), text), undefined)));
      expect([...results].sort()).toEqual([false, true]);
      expect((await letters.get(id('1')))?.letter.message).toBe(results[0] === true ? 'x' : 'y');
    });

    it('changes a letter only in the version that was read', async () => {
      await letters.put(letter(id('2'), 'first'), undefined);
      const read = await letters.get(id('2'));
      expect(await letters.put(letter(id('2'), 'second'), read?.version)).toBe(true);
      expect(await letters.put(letter(id('2'), 'third'), read?.version)).toBe(false);
      expect((await letters.get(id('2')))?.letter).toEqual(letter(id('2'), 'second'));
    });

    it('lists the state that a letter was given last', async () => {
      await letters.put(letter(id('7'), 'open'), undefined);
      const read = await letters.get(id('7'));
      const closed = { ...letter(id('7'), 'closed'), state: 'discarded', reason: 'other-reason' };
      expect(await letters.put(closed, read?.version)).toBe(true);
      const listed: unknown[] = [];
      for await (const found of letters.list()) listed.push([found.id, found.state, found.reason]);
      expect(listed).toEqual([[id('7'), 'discarded', 'other-reason']]);
    });

    it('lists all and says when there is none', async () => {
      for (const digit of ['3', '4', '5']) await letters.put(letter(id(digit), digit), undefined);
      const listed: string[] = [];
      for await (const found of letters.list()) listed.push(found.id);
      expect([...listed].sort()).toEqual([id('3'), id('4'), id('5')]);
      expect(await letters.get(id('6'))).toBeUndefined();
    });
  });
}
