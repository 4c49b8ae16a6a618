import { timingSafeEqual } from 'node:crypto';
import { ledgerTables, sha256Hex } from '@xva/contracts';
import type { Clock } from '@xva/runtime';

/** Each role may do what those before it may. */
export const roles = ['reader', 'submitter', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Who asks: the name goes into records and logs. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
}

/** Finds out who asks. One for API keys is here; one for Entra ID tokens fits the same place. */
export interface Authenticator {
  /** Undefined when the request carries nothing that this authenticator knows. */
  authenticate(header: (name: string) => string | undefined): Promise<Principal | undefined>;
}

export function mayAct(principal: Principal, needed: Role): boolean {
  return roles.indexOf(principal.role) >= roles.indexOf(needed);
}

export interface ConfiguredKey extends Principal {
  readonly sha256: string;
}

/** Table `apikeys`: partition `key`, row = SHA-256 of the key. */
export interface KeyTable {
  get(
    partitionKey: string,
    rowKey: string,
  ): Promise<{ readonly properties: Readonly<Record<string, unknown>> } | undefined>;
}

export const keyPartition = 'key';
export const keyTable = ledgerTables.apiKeys;

/** What the table said is believed for this long, so that a revoked key is refused soon and lookups stay few. */
const rememberMs = 30_000;
const maxRemembered = 10_000;

/**
 * `x-api-key`, by the SHA-256 of what was sent: configured hashes are compared in constant time, the table is asked by
 * hash. The key itself is never stored or logged.
 */
export class ApiKeyAuthenticator implements Authenticator {
  readonly #configured: readonly ConfiguredKey[];
  readonly #table: KeyTable;
  readonly #clock: Clock;
  readonly #remembered = new Map<string, { readonly principal: Principal | undefined; readonly until: number }>();

  constructor(configured: readonly ConfiguredKey[], table: KeyTable, clock: Clock) {
    this.#configured = configured;
    this.#table = table;
    this.#clock = clock;
  }

  async authenticate(header: (name: string) => string | undefined): Promise<Principal | undefined> {
    const key = header('x-api-key');
    if (key === undefined || key.length < 16 || key.length > 200) return undefined;
    const hash = sha256Hex(key);
    const bytes = Buffer.from(hash, 'hex');
    let found: Principal | undefined;
    for (const { name, role, sha256 } of this.#configured) {
      if (timingSafeEqual(bytes, Buffer.from(sha256, 'hex'))) found = { name, role };
    }
    return found ?? this.#fromTable(hash);
  }

  async #fromTable(hash: string): Promise<Principal | undefined> {
    const now = this.#clock.now().getTime();
    const known = this.#remembered.get(hash);
    if (known !== undefined && known.until > now) return known.principal;
    const row = await this.#table.get(keyPartition, hash);
    const principal = row === undefined ? undefined : principalOf(row.properties, now);
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    this.#remembered.set(hash, { principal, until: now + rememberMs });
    return principal;
  }
}

function principalOf(properties: Readonly<Record<string, unknown>>, now: number): Principal | undefined {
  const { name, role, expiresAt, disabled } = properties;
  const known = roles.find((one) => one === role);
  if (typeof name !== 'string' || known === undefined || disabled === true) return undefined;
  if (typeof expiresAt === 'string' && Date.parse(expiresAt) <= now) return undefined;
  return { name, role: known };
}
