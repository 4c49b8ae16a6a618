import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { refusal } from '../wire/errors.ts';

/** Account name (lower case) → its name and key. */
export type AccountKeys = ReadonlyMap<string, { readonly name: string; readonly key: Buffer }>;

const signedHeaders = [
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'if-modified-since',
  'if-match',
  'if-none-match',
  'if-unmodified-since',
  'range',
];
const maxSkewMs = 15 * 60 * 1000;

/**
 * The string to sign of a request (Batch REST reference, "Authenticate requests to the Azure Batch service").
 *
 * @param path as on the wire, percent-encoded and never normalised · @param contentLength '' when the header is absent
 */
export function stringToSign(
  method: string,
  path: string,
  query: ReadonlyMap<string, string>,
  headers: IncomingHttpHeaders,
  account: string,
  contentLength: string,
): string {
  const value = (name: string): string => (name === 'content-length' ? contentLength : String(headers[name] ?? ''));
  const ocp = Object.keys(headers)
    .filter((name) => name.startsWith('ocp-'))
    .sort()
    .map((name) => `${name}:${String(headers[name] ?? '').trim()}\n`)
    .join('');
  const parameters = [...query.keys()]
    .filter((name) => name !== '')
    .sort()
    .map((name) => `\n${name}:${query.get(name) ?? ''}`)
    .join('');
  return `${method}\n${signedHeaders.map((name) => `${value(name)}\n`).join('')}${ocp}/${account}${path}${parameters}`;
}

/** Both ends know two spellings that a client may sign differently from what it sends: see the reference cited above. */
function candidates(
  method: string,
  path: string,
  query: ReadonlyMap<string, string>,
  headers: IncomingHttpHeaders,
  account: string,
): readonly string[] {
  const length = headers['content-length'] ?? '';
  const lengths = length === '' || length === '0' ? [length, length === '' ? '0' : ''] : [length];
  // The JavaScript client signs an apostrophe in a file name as it is and sends it as %27.
  const paths = path.includes('%27') ? [path, path.replaceAll('%27', "'")] : [path];
  return paths.flatMap((way) => lengths.map((size) => stringToSign(method, way, query, headers, account, size)));
}

/**
 * Verifies a request and returns its account's name.
 *
 * A bearer token is accepted as it is (there is no directory to ask); it means the account that the host's name begins
 * with (`<account>.<anything>`, as on Azure), or the first one.
 *
 * @throws BatchError 403 AuthenticationFailed or 400 InvalidAuthenticationInfo
 */
export function authenticate(
  method: string,
  path: string,
  query: ReadonlyMap<string, string>,
  headers: IncomingHttpHeaders,
  accounts: AccountKeys,
  now: number,
): string {
  const authorization = headers.authorization ?? '';
  const [scheme = '', credential = ''] = authorization.split(/ +/, 2);
  const fail = (detail: string): Error => refusal('AuthenticationFailed', { AuthenticationErrorDetail: detail });
  if (authorization === '') throw fail('The Authorization header is missing.');
  if (scheme.toLowerCase() === 'bearer' && credential !== '') {
    const [label = ''] = (headers.host ?? '').toLowerCase().split(/[.:]/, 1);
    const first = accounts.get(label) ?? accounts.values().next().value;
    if (first === undefined) throw fail('No account is configured.');
    return first.name;
  }
  const found = /^([^:]+):([A-Za-z0-9+/]+=*)$/.exec(credential);
  if (scheme.toLowerCase() !== 'sharedkey' || found === null) throw refusal('InvalidAuthenticationInfo');
  const [, name = '', signature = ''] = found;
  const account = accounts.get(name.toLowerCase());
  if (account === undefined) throw fail(`The account '${name}' does not exist.`);
  const date = Date.parse(String(headers['ocp-date'] ?? headers.date ?? ''));
  if (Number.isNaN(date)) throw fail('The request has neither ocp-date nor Date.');
  if (Math.abs(date - now) > maxSkewMs) throw fail(`The Date header in the request is expired or invalid.`);
  const given = Buffer.from(signature, 'base64');
  const strings = candidates(method, path, query, headers, name);
  for (const text of strings) {
    const computed = createHmac('sha256', account.key).update(text, 'utf8').digest();
    if (computed.length === given.length && timingSafeEqual(computed, given)) return account.name;
  }
  throw fail(
    `The MAC signature found in the HTTP request '${signature}' is not the same as any computed signature. ` +
      `Server used following string to sign: '${strings[0] ?? ''}'.`,
  );
}
