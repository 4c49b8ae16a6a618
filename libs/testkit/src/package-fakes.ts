import type { DeadLetter } from '@xva/contracts';
import type { DeadLettersLike, WorkObjectsLike } from './package-contracts.ts';

/*
 * The package flow's stores in memory, held to the same contracts as the real ones. Shapes are the flow's, said again for
 * the same reason as in `package-contracts.ts`.
 */
export class MemoryWorkObjects implements WorkObjectsLike {
  readonly requests = new Map<string, Uint8Array>();
  readonly objects = new Map<string, Uint8Array>();
  readonly touched: string[] = [];
  readonly written: string[] = [];

  readRequest(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.requests.get(name)?.subarray(0, maxBytes));
  }

  findObject(name: string): ReturnType<WorkObjectsLike['findObject']> {
    const size = this.objects.get(name)?.length;
    if (size === undefined) return Promise.resolve(undefined);
    const touch = (): Promise<'touched' | 'gone'> => {
      if (!this.objects.has(name)) return Promise.resolve('gone');
      this.touched.push(name);
      return Promise.resolve('touched');
    };
    return Promise.resolve({ size, touch });
  }

  putObject(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    if (this.objects.has(name)) return Promise.resolve('exists');
    this.objects.set(name, bytes);
    this.written.push(name);
    return Promise.resolve('created');
  }

  async putObjectStream(name: string, chunks: AsyncIterable<Uint8Array>): Promise<'created' | 'exists'> {
    const all: Uint8Array[] = [];
    for await (const chunk of chunks) all.push(chunk);
    return this.putObject(name, Buffer.concat(all));
  }
}

interface Entry extends Pick<DeadLetter, 'id' | 'state' | 'reason' | 'lastSeen' | 'attempts'> {
  readonly book: string | null;
}

export class MemoryDeadLetters implements DeadLettersLike<DeadLetter> {
  readonly letters = new Map<string, { letter: DeadLetter; version: string }>();
  #version = 0;

  get(id: string): Promise<{ letter: DeadLetter; version: string } | undefined> {
    return Promise.resolve(this.letters.get(id));
  }

  put(letter: DeadLetter, version: string | undefined): Promise<boolean> {
    if (this.letters.get(letter.id)?.version !== version) return Promise.resolve(false);
    this.letters.set(letter.id, { letter, version: String(++this.#version) });
    return Promise.resolve(true);
  }

  async *list(): AsyncGenerator<Entry> {
    for (const { letter } of this.letters.values()) {
      const { id, state, reason, lastSeen, attempts, requestKey } = letter;
      yield await Promise.resolve({ id, state, reason, lastSeen, attempts, book: requestKey?.book ?? null });
    }
  }
}
