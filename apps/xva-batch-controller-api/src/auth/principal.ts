/** Each role may do what those before it may. */
export const roles = ['reader', 'submitter', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Which runs a principal can see: those of its desk, or all. To it others are not there (404). */
export const sights = ['own', 'all'] as const;
export type Sight = (typeof sights)[number];

/** Who asks. Everything here comes from the credential, never from the request. */
export interface Principal {
  /** Goes into records, logs and the audit: `key:<id>` or `entra:<object id>`. */
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** Whose share of the pool its runs take. */
  readonly desk: string;
  readonly sees: Sight;
}

export function mayAct(principal: Principal, needed: Role): boolean {
  return roles.indexOf(principal.role) >= roles.indexOf(needed);
}

export function maySee(principal: Principal, desk: string): boolean {
  return principal.sees === 'all' || principal.desk === desk;
}

/** The highest of the roles that are named; names that are no role do not count. */
export function highestRole(names: readonly string[]): Role | undefined {
  return roles.findLast((role) => names.includes(role));
}

export type HeaderReader = (name: string) => string | undefined;

/** Why a credential is not accepted: told to its bearer, and never with the credential. */
export interface Refusal {
  readonly code:
    | 'unauthenticated'
    | 'key-not-valid'
    | 'key-expired'
    | 'token-not-valid'
    | 'token-expired'
    | 'token-issuer'
    | 'token-audience'
    | 'token-tenant'
    | 'token-without-role';
  readonly detail: string;
}

export type Verdict =
  | { readonly outcome: 'known'; readonly principal: Principal }
  /** Nothing of this authenticator's kind was sent. */
  | { readonly outcome: 'silent' }
  | { readonly outcome: 'refused'; readonly refusal: Refusal }
  /** It cannot be told now, since what is needed to tell does not answer. */
  | { readonly outcome: 'unavailable'; readonly detail: string };

export interface Authenticator {
  /** What a client is told to send, for `WWW-Authenticate`. */
  readonly challenge: string;
  authenticate(header: HeaderReader): Promise<Verdict>;
}

/** Asks one after the other; the first that knows the kind of credential decides. */
export class AnyOf implements Authenticator {
  readonly challenge: string;
  readonly #all: readonly Authenticator[];

  constructor(all: readonly Authenticator[]) {
    this.#all = all;
    this.challenge = all.map((one) => one.challenge).join(', ');
  }

  async authenticate(header: HeaderReader): Promise<Verdict> {
    for (const one of this.#all) {
      const verdict = await one.authenticate(header);
      if (verdict.outcome !== 'silent') return verdict;
    }
    return { outcome: 'silent' };
  }
}
