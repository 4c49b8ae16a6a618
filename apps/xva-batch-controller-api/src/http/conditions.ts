import { ProblemError } from './problems.ts';

/** Does a list of entity tags (RFC 9110, section 8.8.3) name this one? Weak comparison, as If-None-Match wants it. */
export function namesEtag(header: string | undefined, etag: string): boolean {
  return header !== undefined && header.split(',').some((one) => ['*', etag, `W/${etag}`].includes(one.trim()));
}

/**
 * The version that If-Match asks for; undefined without one, or with `*`.
 *
 * @throws ProblemError 400 for what is no version of ours
 */
export function expectedVersion(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  const match = /^"([1-9][0-9]{0,9})"$/.exec(header.trim());
  if (match === null) {
    throw new ProblemError(400, 'if-match-not-valid', 'If-Match takes one ETag as it was given, such as "7", or *');
  }
  return Number(match[1]);
}

export function versionChanged(what: string, expected: number, found: number): ProblemError {
  return new ProblemError(412, 'version-changed', `${what} is at version ${found}, not ${expected}: read it again`, {
    headers: { etag: `"${found}"` },
  });
}
