import { BatchError } from './errors.ts';

/**
 * The pages of a listing, from its first to the one that names no other.
 *
 * @param read the page at a link; the first page without one
 * @throws BatchError `RepeatedNextLink` when a page leads back to one that was read: such a listing would never end
 */
export async function* pagesOf<P>(
  target: string,
  read: (link: string | undefined) => Promise<P>,
  linkOf: (page: P) => string | undefined,
): AsyncGenerator<P> {
  const followed = new Set<string>();
  for (let link: string | undefined; ;) {
    const page: P = await read(link);
    yield page;
    link = linkOf(page);
    if (link === undefined) return;
    if (followed.has(link)) {
      const detail = `the next page is said to be at ${link.slice(0, 200)}, which was read before`;
      throw new BatchError(target, { code: 'RepeatedNextLink', status: 200, detail });
    }
    followed.add(link);
  }
}

/** @throws BatchError `ForeignNextLink` for a link that does not lead to the account: what proves who asks stays at home. */
export function ownUrl(target: string, link: string, origin: string): URL {
  const url = URL.parse(link);
  if (url?.origin === origin) return url;
  const detail = `the next page is said to be at ${link.slice(0, 200)}, which is not ${origin}`;
  throw new BatchError(target, { code: 'ForeignNextLink', status: 200, detail });
}
