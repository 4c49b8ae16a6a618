import { Readable } from 'node:stream';
import type { BlobContainer } from '@xva/azure-storage';
import { StorageError } from '@xva/azure-storage';
import {
  ContractError,
  deadLetterSchema,
  letterId,
  letterLabelsOf,
  letterLabelsSchema,
  parseContractText,
  type DeadLetter,
  type RetentionLabels,
} from '@xva/contracts';
import {
  entryOf,
  StepFailure,
  type DeadLetters,
  type LetterEntry,
  type StoredObject,
  type WorkObjects,
} from '@xva/flow-package';

type Role = 'work-storage' | 'ledger-storage';

/**
 * What a failure of Storage means: outages pass, refusals need a person. Whatever else is thrown (an abort, what a
 * stream that is being uploaded failed with) goes on as it is.
 */
async function translated<T>(role: Role, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw error instanceof StorageError ? toFailure(role, error) : toIdentityFailure(role, error);
  }
}

function toFailure(role: Role, error: StorageError): StepFailure {
  const isRefusal = !error.retryable && [400, 401, 403, 404].includes(error.status);
  const kind = isRefusal ? 'operator' : 'outage';
  return new StepFailure(kind, `${role}-${isRefusal ? 'refuses-us' : 'unavailable'}`, error.message, { cause: error });
}

/** The identity library throws errors of its own when there is no credential, or the directory refuses it. */
function toIdentityFailure(role: Role, error: unknown): unknown {
  const isIdentity = error instanceof Error && /Credential|Authentication/.test(error.name);
  if (!isIdentity) return error;
  return new StepFailure('operator', `${role}-refuses-us`, error.message, { cause: error });
}

/** Requests and objects as blobs of the work account. */
export class BlobWorkObjects implements WorkObjects {
  readonly #requests: BlobContainer;
  readonly #objects: BlobContainer;

  constructor(requests: BlobContainer, objects: BlobContainer) {
    this.#requests = requests;
    this.#objects = objects;
  }

  readRequest(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    return translated('work-storage', async () => {
      const found = await this.#requests.openRead(name, 0, maxBytes);
      if (found !== undefined) {
        const chunks: Buffer[] = [];
        for await (const chunk of found.stream) chunks.push(Buffer.from(chunk as Buffer));
        return Buffer.concat(chunks);
      }
      // A missing container is a setting gone wrong, not a request that is missing.
      if (await this.#requests.exists()) return undefined;
      throw new StepFailure('operator', 'work-storage-refuses-us', `there is no container ${this.#requests.name}`);
    });
  }

  async findObject(name: string): Promise<StoredObject | undefined> {
    const facts = await translated('work-storage', () => this.#objects.head(name));
    if (facts === undefined) return undefined;
    return { size: facts.size, touch: () => translated('work-storage', () => this.#objects.touch(facts)) };
  }

  putObject(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    return translated(
      'work-storage',
      async () => (await this.#objects.putIfAbsent(name, bytes, objectOptions)).outcome,
    );
  }

  putObjectStream(name: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<'created' | 'exists'> {
    return translated('work-storage', async () => {
      const stream = Readable.from(buffers(chunks), { objectMode: false });
      try {
        return (await this.#objects.putStreamIfAbsent(name, stream, objectOptions, signal)).outcome;
      } finally {
        stream.destroy();
      }
    });
  }

  /** Creates the container for objects unless it is there. */
  ensure(): Promise<void> {
    return translated('work-storage', async () => {
      if (!(await this.#objects.exists())) await this.#objects.ensure();
    });
  }
}

const objectOptions = { metadata: { xva_class: 'object' } satisfies RetentionLabels };

async function* buffers(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

/** Dead letters as one blob each in the ledger account: `<id>.json`. */
export class BlobDeadLetters implements DeadLetters {
  readonly #container: BlobContainer;

  constructor(container: BlobContainer) {
    this.#container = container;
  }

  get(id: string): Promise<{ letter: DeadLetter; version: string } | undefined> {
    return translated('ledger-storage', async () => {
      const blob = await this.#container.get(`${id}.json`);
      return blob === undefined ? undefined : { letter: readLetter(id, blob.bytes), version: blob.etag };
    });
  }

  put(letter: DeadLetter, version: string | undefined): Promise<boolean> {
    const name = `${letter.id}.json`;
    const bytes = `${JSON.stringify(letter, null, 2)}\n`;
    const { eventId, runId } = letter;
    const metadata = {
      xva_class: 'dead-letter',
      ...(eventId === null ? {} : { xva_event_id: eventId }),
      ...(runId === null ? {} : { xva_run_id: runId }),
    } satisfies RetentionLabels;
    const options = { contentType: 'application/json', metadata: { ...metadata, ...letterLabelsOf(letter) } };
    return translated('ledger-storage', async () => {
      if (version !== undefined) return this.#container.put(name, bytes, { ...options, ifMatch: version });
      return (await this.#container.putIfAbsent(name, bytes, options)).outcome === 'created';
    });
  }

  async *list(): AsyncGenerator<LetterEntry> {
    try {
      for await (const { name, metadata } of this.#container.list()) {
        const id = name.replace(/\.json$/, '');
        if (id === name || !letterId.safeParse(id).success) continue;
        const told = entryFromLabels(id, metadata);
        const stored = told === undefined ? await this.get(id) : undefined;
        if (told !== undefined) yield told;
        else if (stored !== undefined) yield entryOf(stored.letter);
      }
    } catch (error) {
      throw error instanceof StorageError ? toFailure('ledger-storage', error) : error;
    }
  }

  /** Creates the container unless it is there. */
  ensure(): Promise<void> {
    return translated('ledger-storage', async () => {
      if (!(await this.#container.exists())) await this.#container.ensure();
    });
  }
}

/** Undefined when the metadata do not tell, as with a letter that something else wrote. */
function entryFromLabels(id: string, metadata: Readonly<Record<string, string>>): LetterEntry | undefined {
  const labels = letterLabelsSchema.safeParse(
    Object.fromEntries(Object.entries(metadata).filter(([name]) => name.startsWith('xva_letter_'))),
  );
  if (!labels.success) return undefined;
  const { xva_letter_state: state, xva_letter_reason: reason, xva_letter_seen: lastSeen } = labels.data;
  const { xva_letter_book: book = null, xva_letter_attempts: attempts } = labels.data;
  return { id, state, reason, book, lastSeen, attempts: Number(attempts) };
}

function readLetter(id: string, bytes: Buffer): DeadLetter {
  try {
    return parseContractText(deadLetterSchema, bytes.toString('utf8'), `dead letter ${id}`);
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    throw new StepFailure('operator', 'dead-letter-unreadable', error.message, { cause: error });
  }
}
