import type { Clock } from '@xva/runtime';
import { createLocalJWKSet, createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { highestRole, type Authenticator, type HeaderReader, type Refusal, type Verdict } from './principal.ts';

export interface EntraOptions {
  readonly tenantId: string;
  /** Application id URI and client id: v2.0 tokens carry one, v1.0 the other. */
  readonly audiences: readonly string[];
  readonly issuer: string;
  readonly jwksUrl: string;
  /** Without a role `desk.<name>` a token is refused; otherwise it sees all desks. */
  readonly requireDesk: boolean;
  /** Published keys are asked for again for a key id that is not known, but not more often than this. */
  readonly cooldownMs: number;
}

/** Signatures with a key pair only: with HS256 the public key would be the secret. */
const algorithms = ['RS256', 'PS256', 'ES256'];
const clockSkewSeconds = 60;
const cacheMaxAgeMs = 24 * 3_600_000;
/** After the key server failed, so long nobody asks it again. */
const downMs = 5_000;
const deskPrefix = 'desk.';

const refuse = (code: Refusal['code'], detail: string): Verdict => ({ outcome: 'refused', refusal: { code, detail } });

function textOf(payload: JWTPayload, claim: string): string | undefined {
  const value = payload[claim];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * Who a verified token is for. App roles are `reader`, `submitter`, `operator`, `admin`, and `desk.<name>` for the desk;
 * `all-desks` lets it see every desk's runs.
 */
export function principalOf(payload: JWTPayload, options: Pick<EntraOptions, 'tenantId' | 'requireDesk'>): Verdict {
  if (payload['tid'] !== options.tenantId) return refuse('token-tenant', 'the token is of another tenant');
  const claimed: unknown = payload['roles'];
  const names = Array.isArray(claimed) ? claimed.filter((name) => typeof name === 'string') : [];
  const role = highestRole(names);
  if (role === undefined)
    return refuse('token-without-role', 'the token has none of the app roles reader, submitter, operator, admin');
  const id = textOf(payload, 'oid') ?? textOf(payload, 'sub');
  if (id === undefined) return refuse('token-not-valid', 'the token says neither oid nor sub');
  const name = textOf(payload, 'preferred_username') ?? textOf(payload, 'app_displayname') ?? id;
  const desks = names.filter((one) => one.startsWith(deskPrefix)).map((one) => one.slice(deskPrefix.length));
  const [desk] = desks;
  if (desks.length > 1) return refuse('token-without-role', 'the token has more than one app role desk.<name>');
  if (desk === undefined && options.requireDesk)
    return refuse('token-without-role', 'the token has no app role desk.<name>');
  const sees = desk === undefined || names.includes('all-desks') ? 'all' : 'own';
  return { outcome: 'known', principal: { id: `entra:${id}`, name, role, desk: desk ?? `entra-${id}`, sees } };
}

function verdictOf(error: unknown): Verdict {
  if (error instanceof errors.JWTExpired) return refuse('token-expired', 'the token has expired: get a new one');
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return refuse('token-audience', 'the token is for another audience');
    if (error.claim === 'iss') return refuse('token-issuer', 'the token is of another issuer');
    return refuse('token-not-valid', `the token's claim ${error.claim} does not hold`);
  }
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWSSignatureVerificationFailed)
    return refuse('token-not-valid', "the token's signature is of no key that the tenant publishes");
  if (error instanceof errors.JOSEAlgNotAllowed)
    return refuse('token-not-valid', `the token's algorithm is none of ${algorithms.join(', ')}`);
  if (
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSMultipleMatchingKeys
  )
    return refuse('token-not-valid', 'what is sent as a bearer is no token that is taken here');
  return { outcome: 'unavailable', detail: 'the keys of the identity provider cannot be read now; try again' };
}

/** The tenant's keys: cached; while the key server is down, tokens of known keys go on and others do not make it worse. */
function publishedKeys({ jwksUrl, cooldownMs }: EntraOptions, clock: Clock): JWTVerifyGetKey {
  const published = createRemoteJWKSet(new URL(jwksUrl), {
    cooldownDuration: cooldownMs,
    cacheMaxAge: cacheMaxAgeMs,
    timeoutDuration: 5_000,
  });
  let downUntil = 0;
  return async (header, token) => {
    if (clock.now().getTime() < downUntil) {
      const known = published.jwks();
      if (known === undefined || !known.keys.some((key) => key.kid === header.kid))
        throw new errors.JWKSTimeout('the key server did not answer just now');
      return createLocalJWKSet(known)(header, token);
    }
    try {
      return await published(header, token);
    } catch (error) {
      if (verdictOf(error).outcome === 'unavailable') downUntil = clock.now().getTime() + downMs;
      throw error;
    }
  };
}

/** `Authorization: Bearer` with an access token of Entra ID (OpenID Connect Core 1.0, RFC 9068). */
export class EntraAuthenticator implements Authenticator {
  readonly challenge = 'Bearer realm="xva"';
  readonly #options: EntraOptions;
  readonly #clock: Clock;
  readonly #keys: JWTVerifyGetKey;

  constructor(options: EntraOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#keys = publishedKeys(options, clock);
  }

  async authenticate(header: HeaderReader): Promise<Verdict> {
    const sent = header('authorization');
    if (sent === undefined) return { outcome: 'silent' };
    const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(sent)?.[1];
    if (token === undefined || token.length > 8_192)
      return refuse('token-not-valid', 'Authorization must be Bearer and an access token');
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        algorithms,
        issuer: this.#options.issuer,
        audience: [...this.#options.audiences],
        clockTolerance: clockSkewSeconds,
        currentDate: this.#clock.now(),
        requiredClaims: ['exp', 'iat', 'tid'],
      });
      return principalOf(payload, this.#options);
    } catch (error) {
      return verdictOf(error);
    }
  }
}
