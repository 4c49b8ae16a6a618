import { ProblemError } from './problems.ts';

/** Does a list of entity tags (RFC 9110, section 8.8.3) name this one? Weak comparison, as If-None-Match wants it. */
export function namesEtag(header: string | undefined, etag: string): boolean {
  return header !== undefined && header.split(',').some((one) => ['*', etag, `W/${etag}`].includes(one.trim()));
}

/**
 * Does If-Match (RFC 9110, section 13.1.1) let a change of this version through? Without one, or with `*`, it does; what
 * names no version of ours names another one.
 */
export function allowsVersion(ifMatch: string | undefined, version: number): boolean {
  return ifMatch === undefined || ifMatch.split(',').some((one) => ['*', `"${version}"`].includes(one.trim()));
}

export function versionChanged(what: string, expected: string, found: number): ProblemError {
  const detail = `${what} is at version "${found}", not ${expected.slice(0, 40)}: read it again`;
  return new ProblemError(412, 'version-changed', detail, { headers: { etag: `"${found}"` } });
}
