import { lookup as lookupName } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

/** Thrown for an address that nothing may be sent to; says why and what would be taken. */
export class AddressError extends Error {
  override readonly name = 'AddressError';
  readonly url: string;

  constructor(url: string, message: string) {
    super(message);
    this.url = url;
  }
}

export interface AddressRules {
  /** Plain http to this machine itself, for laboratories. */
  readonly allowLoopback: boolean;
  /** Hosts that may have private addresses: receivers within the bank's own network. */
  readonly privateHosts: readonly string[];
}

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

export type Resolve = (host: string) => Promise<readonly Address[]>;

const subnets4: readonly (readonly [string, number])[] = [
  ...([
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['172.16.0.0', 12],
  ] as const),
  ...([
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.88.99.0', 24],
    ['192.168.0.0', 16],
  ] as const),
  ...([
    ['198.18.0.0', 15],
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
  ] as const),
];
/** Unique local, documentation, discard-only, Teredo and ORCHID, 6to4, site-local, NAT64: all may lead inside. */
const subnets6: readonly (readonly [string, number])[] = [
  ...([
    ['fc00::', 7],
    ['fec0::', 10],
    ['2001:db8::', 32],
    ['100::', 64],
    ['2001::', 23],
  ] as const),
  ...([
    ['2002::', 16],
    ['64:ff9b::', 96],
    ['64:ff9b:1::', 48],
  ] as const),
];

function listOf(four: typeof subnets4, six: typeof subnets6): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of four) list.addSubnet(net, prefix, 'ipv4');
  for (const [net, prefix] of six) list.addSubnet(net, prefix, 'ipv6');
  return list;
}

/** IANA special-purpose registries (RFC 6890 and its updates). */
const inside = listOf(subnets4, subnets6);
const loopback = listOf([['127.0.0.0', 8]], [['::1', 128]]);
/** Never, for no host: the metadata service of a cloud, link-local, multicast, reserved, unspecified. */
const never = listOf(
  [
    ['169.254.0.0', 16],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
    ['0.0.0.0', 32],
    ['168.63.129.16', 32],
  ],
  [
    ['fe80::', 10],
    ['ff00::', 8],
    ['::', 128],
    ['fd00:ec2::254', 128],
  ],
);

/** An IPv4 address in IPv6 clothes (mapped or compatible) counts as what it is. */
function plain({ address, family }: Address): Address {
  if (family === 4) return { address, family };
  const dotted = /^::(?:ffff:(?:0:)?)?(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (dotted !== undefined) return { address: dotted, family: 4 };
  const hex = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address);
  if (hex?.[1] === undefined || hex[2] === undefined) return { address, family };
  const [high, low] = [Number.parseInt(hex[1], 16), Number.parseInt(hex[2], 16)];
  return { address: [high >> 8, high & 255, low >> 8, low & 255].join('.'), family: 4 };
}

function kindOf(given: Address): 'public' | 'private' | 'loopback' | 'never' {
  const { address, family } = plain(given);
  const kind = family === 4 ? 'ipv4' : 'ipv6';
  if (never.check(address, kind)) return 'never';
  if (loopback.check(address, kind)) return 'loopback';
  return inside.check(address, kind) ? 'private' : 'public';
}

function hostOf(url: URL): string {
  return url.hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

/** What can be told of a URL without asking anybody. @throws AddressError */
export function checkUrl(text: string, rules: AddressRules): URL {
  const refuse = (why: string): never => {
    throw new AddressError(text, `a webhook cannot go to this address: ${why}`);
  };
  if (text.length > 1_000) return refuse('it is longer than 1000 characters');
  if (!URL.canParse(text)) return refuse('it is no URL');
  const url = new URL(text);
  const host = hostOf(url);
  const family = isIP(host);
  const isLoopback =
    host === 'localhost' || (family !== 0 && kindOf({ address: host, family: family as 4 | 6 }) === 'loopback');
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback && rules.allowLoopback))
    return refuse(`only https is taken, not ${url.protocol.replace(':', '')}`);
  if (url.username !== '' || url.password !== '') return refuse('it holds a user name or password');
  if (url.hash !== '') return refuse('it holds a fragment');
  if (host === '') return refuse('it names no host');
  if (family !== 0) checkAddress(text, host, { address: host, family: family as 4 | 6 }, rules);
  return url;
}

function checkAddress(text: string, host: string, address: Address, rules: AddressRules): void {
  const kind = kindOf(address);
  const isAllowed =
    kind === 'public' ||
    (kind === 'loopback' && rules.allowLoopback) ||
    (kind === 'private' && rules.privateHosts.includes(host));
  if (isAllowed) return;
  const words = { never: 'a reserved', private: 'a private', loopback: 'a loopback', public: '' };
  throw new AddressError(
    text,
    `a webhook cannot go to this address: ${host} is ${words[kind]} address${kind === 'private' ? ' (setting webhookPrivateHosts names hosts that may be)' : ''}`,
  );
}

export const systemResolve: Resolve = async (host) =>
  (await lookupName(host, { all: true, order: 'verbatim' })).map(({ address, family }) => ({
    address,
    family: family === 6 ? 6 : 4,
  }));

/**
 * The address to connect to, and no other: every address of the host must be allowed, and the connection is made to the
 * one that was checked, so that a name which changes between check and connection leads nowhere else.
 *
 * @throws AddressError
 */
export async function checkedAddress(url: URL, rules: AddressRules, resolve: Resolve): Promise<Address> {
  const host = hostOf(url);
  const family = isIP(host);
  const found = family === 0 ? await resolve(host) : [{ address: host, family: family as 4 | 6 }];
  for (const address of found) checkAddress(url.href, host, address, rules);
  const [first] = found;
  if (first === undefined) throw new AddressError(url.href, `${host} has no address`);
  return first;
}
