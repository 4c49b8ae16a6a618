import type { FaultBoard } from '@xva/emulator-kit';
import type { IdentityReference } from '../wire/specs.ts';
import type { StorageKey } from './storage.ts';

/** A storage account that an identity may use; `blobEndpoint` is `https://<account>.blob...` or Azurite's path-style root. */
export interface StorageGrant extends StorageKey {
  readonly blobEndpoint: string;
}

/** Identities by resource id in lower case. */
export type Identities = ReadonlyMap<string, readonly StorageGrant[]>;

/** Thrown when an identity may not touch a URL; the task sees it as BlobAccessDenied. */
export class IdentityDeniedError extends Error {
  override readonly name = 'IdentityDeniedError';
}

function covers(grant: StorageGrant, url: URL): boolean {
  const root = new URL(grant.blobEndpoint);
  const path = root.pathname.replace(/\/$/, '');
  return root.origin === url.origin && (path === '' || url.pathname === path || url.pathname.startsWith(`${path}/`));
}

/**
 * The key with which a configured identity reaches a URL: it stands for the token that a node would get.
 *
 * @param allowed identities of the pool (lower case), or undefined when the pool does not restrict them
 * @returns undefined without an identity reference
 * @throws IdentityDeniedError when the identity is unknown, not the pool's, has no grant there, or a fault denies it
 */
export function resolveIdentity(
  identities: Identities,
  allowed: ReadonlySet<string> | undefined,
  faults: FaultBoard,
  reference: IdentityReference | undefined,
  url: URL,
): StorageKey | undefined {
  if (reference === undefined) return undefined;
  const id = reference.resourceId ?? '';
  const grants = identities.get(id.toLowerCase());
  if (grants === undefined) throw new IdentityDeniedError(`identity ${id} is not configured`);
  if (allowed !== undefined && !allowed.has(id.toLowerCase())) {
    throw new IdentityDeniedError(`identity ${id} is not assigned to the pool`);
  }
  const grant = grants.find((candidate) => covers(candidate, url));
  if (grant === undefined) throw new IdentityDeniedError(`identity ${id} has no role on ${url.origin}${url.pathname}`);
  const fault = faults.take('identity', { identity: id, account: grant.account });
  if (fault !== undefined) throw new IdentityDeniedError(`identity ${id} was denied on account ${grant.account}`);
  return grant;
}
