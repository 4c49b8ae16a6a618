import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a policy allows. Manage includes the other two. */
export type Claim = 'Send' | 'Listen' | 'Manage';

/** A shared access policy of the namespace, or of one hub when `hub` is given. */
export interface SharedAccessPolicy {
  readonly name: string;
  readonly key: string;
  readonly claims: readonly Claim[];
  readonly hub?: string;
}

/** The policy that every emulator of this service has, by its published name and key. */
export const defaultPolicy: SharedAccessPolicy = {
  name: 'RootManageSharedAccessKey',
  key: 'SAS_KEY_VALUE',
  claims: ['Manage', 'Send', 'Listen'],
};

/** A verified token: it opens `path` and everything below it to the policy's claims until `expiresMs`. */
export interface Grant {
  readonly path: readonly string[];
  readonly policy: SharedAccessPolicy;
  readonly expiresMs: number;
}

export type TokenCheck =
  { readonly outcome: 'granted'; readonly grant: Grant } | { readonly outcome: 'refused'; readonly reason: string };

function refused(reason: string): TokenCheck {
  return { outcome: 'refused', reason };
}

/** Path segments of an entity address, lower-cased, without scheme and host: hub names do not distinguish case. */
export function entityPath(address: string): readonly string[] {
  const path = address.replace(/^[a-z]+:\/\/[^/]*/i, '');
  return path
    .toLowerCase()
    .split('/')
    .filter((segment) => segment !== '');
}

function isWithin(path: readonly string[], prefix: readonly string[]): boolean {
  return prefix.every((segment, index) => path[index] === segment);
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * Verifies a shared access signature: `SharedAccessSignature sr=…&sig=…&se=…&skn=…`, whose signature is
 * base64(HMAC-SHA256(key as UTF-8, sr as it stands in the token + "\n" + se)); `se` is in Unix seconds.
 * The token must cover `audience`.
 */
export function checkToken(
  token: string,
  audience: string,
  policies: readonly SharedAccessPolicy[],
  nowMs: number,
): TokenCheck {
  const [scheme, rest] = token.split(' ', 2);
  if (scheme !== 'SharedAccessSignature' || rest === undefined) return refused('not a SharedAccessSignature');
  const fields = new Map(
    rest.split('&').map((field): [string, string] => {
      const at = field.indexOf('=');
      return [field.slice(0, at), field.slice(at + 1)];
    }),
  );
  const [resource, signature, expiry, keyName] = ['sr', 'sig', 'se', 'skn'].map((name) => fields.get(name));
  if (resource === undefined || signature === undefined || expiry === undefined || keyName === undefined) {
    return refused('the token needs sr, sig, se and skn');
  }
  const name = decoded(keyName);
  const path = entityPath(decoded(resource) ?? '');
  // A policy of a hub opens that hub only; a rule's second key is a policy of the same name.
  const candidates = policies.filter(
    (candidate) =>
      candidate.name === name && (candidate.hub === undefined || candidate.hub.toLowerCase() === (path[0] ?? '')),
  );
  if (candidates.length === 0) return refused(`no policy '${name ?? keyName}' for '${path.join('/')}'`);
  const given = Buffer.from(decoded(signature) ?? '', 'base64');
  const policy = candidates.find(({ key }) => {
    const expected = createHmac('sha256', key).update(`${resource}\n${expiry}`).digest();
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  if (policy === undefined) return refused(`the signature of policy '${name ?? keyName}' is wrong`);
  const expiresMs = Number(expiry) * 1000;
  if (!(expiresMs > nowMs)) return refused(`the token expired at ${expiry} (Unix seconds)`);
  if (!isWithin(entityPath(audience), path)) return refused(`the token for '${path.join('/')}' does not cover it`);
  return { outcome: 'granted', grant: { path, policy, expiresMs } };
}

/** The tokens that one connection has presented. */
export class Grants {
  readonly #grants = new Map<string, Grant>();

  add(grant: Grant): void {
    this.#grants.set(`${grant.path.join('/')} ${grant.policy.name}`, grant);
  }

  /** Empty when `claim` on `address` is allowed now, otherwise why not. `undefined` claim: any valid token will do. */
  refusal(address: string, claim: Claim | undefined, nowMs: number): string {
    const path = entityPath(address);
    const covering = [...this.#grants.values()].filter((grant) => isWithin(path, grant.path));
    if (covering.length === 0) return `no token was put for '${path.join('/')}'`;
    const alive = covering.filter((grant) => grant.expiresMs > nowMs);
    if (alive.length === 0) return `the token for '${path.join('/')}' has expired`;
    const allows = alive.some(
      ({ policy }) => claim === undefined || policy.claims.includes(claim) || policy.claims.includes('Manage'),
    );
    return allows ? '' : `the policy lacks the claim '${claim ?? ''}' on '${path.join('/')}'`;
  }
}
