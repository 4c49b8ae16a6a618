import { sha256Hex } from '@xva/contracts';
import type { Clock } from '@xva/runtime';
import { factsOf, keyIdOf, keyPartition, sameKey, stateOf, type KeyFacts, type KeyRows } from './key-ring.ts';
import type { Authenticator, HeaderReader, Principal, Refusal, Role, Sight, Verdict } from './principal.ts';

/** A key of the configuration: only its SHA-256 is there. */
export interface ConfiguredKey {
  readonly name: string;
  readonly role: Role;
  readonly sha256: string;
  readonly desk?: string | undefined;
  readonly sees: Sight;
}

const notValid: Refusal = { code: 'key-not-valid', detail: 'the key in x-api-key is not known or was revoked' };
const expired: Refusal = { code: 'key-expired', detail: 'the key in x-api-key has expired: ask for a new one' };
/** Compared with when there is no such key, so that it takes as long. */
const nobody = sha256Hex('nobody');
const maxRemembered = 10_000;

/** `x-api-key`: keys of the configuration, and those of table `apikeys`. The key itself is never stored or logged. */
export class ApiKeyAuthenticator implements Authenticator {
  readonly challenge = 'ApiKey realm="xva"';
  readonly #configured: readonly ConfiguredKey[];
  readonly #rows: Pick<KeyRows, 'get'>;
  readonly #clock: Clock;
  readonly #rememberMs: number;
  /** By the key's id; what the table said is believed for `rememberMs`, so that a revoked key is refused soon. */
  readonly #remembered = new Map<string, { readonly facts: KeyFacts | undefined; readonly until: number }>();

  constructor(configured: readonly ConfiguredKey[], rows: Pick<KeyRows, 'get'>, clock: Clock, rememberMs: number) {
    this.#configured = configured;
    this.#rows = rows;
    this.#clock = clock;
    this.#rememberMs = rememberMs;
  }

  async authenticate(header: HeaderReader): Promise<Verdict> {
    const key = header('x-api-key');
    if (key === undefined) return { outcome: 'silent' };
    if (key.length < 16 || key.length > 200) return { outcome: 'refused', refusal: notValid };
    let found: Principal | undefined;
    for (const { name, role, sha256, desk, sees } of this.#configured) {
      if (sameKey(key, sha256)) found = { id: `key:${name}`, name, role, desk: desk ?? name, sees };
    }
    if (found !== undefined) return { outcome: 'known', principal: found };
    const id = keyIdOf(key);
    return id === undefined ? { outcome: 'refused', refusal: notValid } : this.#fromTable(id, key);
  }

  async #fromTable(id: string, key: string): Promise<Verdict> {
    const facts = await this.#factsOf(id);
    const isSame = sameKey(key, facts?.sha256 ?? nobody);
    if (facts === undefined || !isSame) return { outcome: 'refused', refusal: notValid };
    const state = stateOf(facts, this.#clock.now());
    if (state !== 'valid') return { outcome: 'refused', refusal: state === 'expired' ? expired : notValid };
    const { name, role, desk, sees } = facts;
    return { outcome: 'known', principal: { id: `key:${id}`, name, role, desk, sees } };
  }

  async #factsOf(id: string): Promise<KeyFacts | undefined> {
    const now = this.#clock.now().getTime();
    const known = this.#remembered.get(id);
    if (known !== undefined && known.until > now) return known.facts;
    const row = await this.#rows.get(keyPartition, id);
    const facts = row === undefined ? undefined : factsOf(row);
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    this.#remembered.set(id, { facts, until: now + this.#rememberMs });
    return facts;
  }
}
