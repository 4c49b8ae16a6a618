import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { checkedAddress, checkUrl, type AddressRules, type Resolve } from './address-guard.ts';

export type PostOutcome =
  { readonly outcome: 'answered'; readonly status: number } | { readonly outcome: 'failed'; readonly message: string };

export interface PostOptions {
  readonly rules: AddressRules;
  readonly resolve: Resolve;
  readonly timeoutMs: number;
}

/**
 * Posts a body to a checked address. Redirects are answers like any other (they could lead inside), the answer's body is
 * not read, and the whole exchange has one time limit.
 *
 * @throws AddressError when the address is not allowed (any more)
 */
export async function postOnce(
  target: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  options: PostOptions,
): Promise<PostOutcome> {
  const url = checkUrl(target, options.rules);
  const { address, family } = await checkedAddress(url, options.rules, options.resolve);
  const pinned: LookupFunction = (_host, { all }, callback) => {
    if (all === true) callback(null, [{ address, family }]);
    else callback(null, address, family);
  };
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const request = send(url, {
      method: 'POST',
      lookup: pinned,
      agent: false,
      maxHeaderSize: 16 * 1024,
      headers: { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' },
      signal: AbortSignal.timeout(options.timeoutMs),
    });
    request.once('response', (response) => {
      response.destroy();
      resolve({ outcome: 'answered', status: response.statusCode ?? 0 });
    });
    request.on('error', (error) => {
      const isLate = error.name === 'TimeoutError' || error.name === 'AbortError';
      resolve({ outcome: 'failed', message: isLate ? `no answer within ${options.timeoutMs} ms` : error.message });
    });
    request.end(body);
  });
}
