import { timingSafeEqual } from 'node:crypto';
import { ledgerTables, sha256Hex } from '@xva/contracts';
import type { Clock } from '@xva/runtime';
import { roles, sights, type Role, type Sight } from './principal.ts';

/** Table `apikeys`: partition `key`, row = the key's id. Of the key itself only the SHA-256 is there. */
export const keyPartition = 'key';
export const keyTable = ledgerTables.apiKeys;

export interface KeyRow {
  readonly partitionKey: string;
  readonly rowKey: string;
  readonly properties: Readonly<Record<string, string | number | boolean | Date>>;
}

export interface KeyRows {
  get(partitionKey: string, rowKey: string): Promise<(KeyRow & { readonly etag: string }) | undefined>;
  insert(row: KeyRow): Promise<{ readonly outcome: 'created' | 'exists' }>;
  replace(row: KeyRow, etag: string): Promise<{ readonly outcome: 'replaced' | 'changed' | 'absent' }>;
  query(options?: { readonly filter?: string }): AsyncIterable<KeyRow & { readonly etag: string }>;
}

export interface KeyFacts {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly desk: string;
  readonly sees: Sight;
  readonly sha256: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly expiresAt: string;
  readonly revokedAt: string | undefined;
  /** The key that it follows. */
  readonly rotatedFrom: string | undefined;
}

export type NewKey = Pick<KeyFacts, 'name' | 'role' | 'desk' | 'sees' | 'createdBy'> & {
  readonly days: number;
  readonly rotatedFrom?: string;
};

/** Thrown by the key ring when what is asked for cannot be done. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
  readonly id: string;

  constructor(id: string, message: string) {
    super(message);
    this.id = id;
  }
}

const dayMs = 86_400_000;
const keyForm = /^xva_([a-z0-9]{12})_[A-Za-z0-9_-]{43}$/;

/** The id in a key, or undefined when it is none of ours: the id finds the row, the whole key is then compared by hash. */
export function keyIdOf(key: string): string | undefined {
  return keyForm.exec(key)?.[1];
}

/** Compares in a time that does not depend on where they differ. */
export function sameKey(key: string, sha256: string): boolean {
  const wanted = Buffer.from(sha256, 'hex');
  const given = Buffer.from(sha256Hex(key), 'hex');
  return wanted.length === given.length && timingSafeEqual(given, wanted);
}

export function factsOf({ rowKey, properties }: KeyRow): KeyFacts | undefined {
  const text = (name: string): string | undefined => {
    const value = properties[name];
    return typeof value === 'string' ? value : undefined;
  };
  const role = roles.find((one) => one === properties['role']);
  const sees = sights.find((one) => one === properties['sees']);
  const [name, desk, sha256, expiresAt] = ['name', 'desk', 'sha256', 'expiresAt'].map(text);
  if (name === undefined || desk === undefined || sha256 === undefined || expiresAt === undefined) return undefined;
  if (role === undefined || sees === undefined) return undefined;
  return {
    ...{ id: rowKey, name, role, desk, sees, sha256, expiresAt },
    createdAt: text('createdAt') ?? '',
    createdBy: text('createdBy') ?? '',
    revokedAt: text('revokedAt'),
    rotatedFrom: text('rotatedFrom'),
  };
}

/** What a key is at a moment; a row that does not read is no key. */
export function stateOf(facts: KeyFacts, now: Date): 'valid' | 'expired' | 'revoked' {
  if (facts.revokedAt !== undefined) return 'revoked';
  const expiry = Date.parse(facts.expiresAt);
  return Number.isFinite(expiry) && expiry > now.getTime() ? 'valid' : 'expired';
}

/** The API keys of the ledger. A key is shown once, when it is made. */
export class KeyRing {
  readonly #rows: KeyRows;
  readonly #clock: Clock;
  readonly #randomBytes: (count: number) => Buffer;

  constructor(rows: KeyRows, clock: Clock, randomBytes: (count: number) => Buffer) {
    this.#rows = rows;
    this.#clock = clock;
    this.#randomBytes = randomBytes;
  }

  async create(wanted: NewKey): Promise<{ readonly key: string; readonly facts: KeyFacts }> {
    const { days, rotatedFrom, ...rest } = wanted;
    const now = this.#clock.now();
    // 60 bits name the key, 256 keep it secret: one SHA-256 suffices, there is no guessing list to slow down.
    const id = this.#randomBytes(12).toString('hex').slice(0, 12);
    const key = `xva_${id}_${this.#randomBytes(32).toString('base64url')}`;
    const properties = {
      ...rest,
      sha256: sha256Hex(key),
      createdAt: now.toISOString(),
      expiresAt: new Date(now.getTime() + days * dayMs).toISOString(),
      ...(rotatedFrom === undefined ? {} : { rotatedFrom }),
    };
    const row = { partitionKey: keyPartition, rowKey: id, properties };
    const { outcome } = await this.#rows.insert(row);
    const facts = factsOf(row);
    if (outcome === 'exists' || facts === undefined) throw new KeyError(id, `key ${id} could not be made: try again`);
    return { key, facts };
  }

  async *list(): AsyncGenerator<KeyFacts> {
    for await (const row of this.#rows.query({ filter: `PartitionKey eq '${keyPartition}'` })) {
      const facts = factsOf(row);
      if (facts !== undefined) yield facts;
    }
  }

  /** @throws KeyError when there is no such key */
  async revoke(id: string): Promise<KeyFacts> {
    return this.#change(id, (facts, now) =>
      facts.revokedAt === undefined ? { revokedAt: now.toISOString() } : undefined,
    );
  }

  /**
   * A new key with the rights of an old one, which stays valid for `overlapHours` more so that its bearer can change over.
   *
   * @throws KeyError when the old one is not valid any more
   */
  async rotate(
    id: string,
    options: { readonly days: number; readonly overlapHours: number; readonly by: string },
  ): Promise<{ readonly key: string; readonly facts: KeyFacts; readonly old: KeyFacts }> {
    const found = await this.#read(id);
    const state = stateOf(found.facts, this.#clock.now());
    if (state !== 'valid') throw new KeyError(id, `key ${id} is ${state}: create a new one`);
    const { name, role, desk, sees } = found.facts;
    const made = await this.create({
      name,
      role,
      desk,
      sees,
      createdBy: options.by,
      days: options.days,
      rotatedFrom: id,
    });
    const old = await this.#change(id, (facts, now) => {
      const end = new Date(now.getTime() + options.overlapHours * 3_600_000).toISOString();
      return facts.expiresAt <= end ? undefined : { expiresAt: end };
    });
    return { ...made, old };
  }

  async #read(id: string): Promise<{ readonly facts: KeyFacts; readonly row: KeyRow & { readonly etag: string } }> {
    const row = await this.#rows.get(keyPartition, id);
    const facts = row === undefined ? undefined : factsOf(row);
    if (row === undefined || facts === undefined) throw new KeyError(id, `there is no key ${id}`);
    return { facts, row };
  }

  async #change(
    id: string,
    change: (facts: KeyFacts, now: Date) => Readonly<Record<string, string>> | undefined,
  ): Promise<KeyFacts> {
    for (;;) {
      const { facts, row } = await this.#read(id);
      const fields = change(facts, this.#clock.now());
      if (fields === undefined) return facts;
      const properties = { ...row.properties, ...fields };
      const { outcome } = await this.#rows.replace({ ...row, properties }, row.etag);
      if (outcome === 'replaced') return { ...facts, ...fields };
    }
  }
}
