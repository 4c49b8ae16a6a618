import http from 'node:http';

type SetGlobalProxy = (environment: Readonly<Record<string, string>>) => () => void;

const dispatcherKey = Symbol.for('undici.globalDispatcher.1');

/**
 * Node's own WebSocket through an HTTP proxy (CONNECT). Node gives no constructor for a proxy agent: the one that it
 * builds from an environment is taken and the process's own setting put back at once, so nothing else is affected.
 *
 * @throws TypeError when the URL is not http(s), or when Node is older than 24.14.
 */
export function webSocketThroughProxy(proxyUrl: string): typeof WebSocket {
  const url = new URL(proxyUrl);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError(`proxy ${url.host} is not http(s)`);
  const { setGlobalProxyFromEnv } = http as unknown as { setGlobalProxyFromEnv?: SetGlobalProxy };
  if (setGlobalProxyFromEnv === undefined) throw new TypeError('a proxy needs Node 24.14 or later');
  const restore = setGlobalProxyFromEnv({ HTTP_PROXY: url.href, HTTPS_PROXY: url.href, NO_PROXY: '' });
  const dispatcher = (globalThis as Record<symbol, unknown>)[dispatcherKey];
  restore();
  return class ProxiedWebSocket extends WebSocket {
    constructor(address: string | URL, protocols?: string | string[] | WebSocketInit) {
      const init = typeof protocols === 'string' || Array.isArray(protocols) ? { protocols } : protocols;
      super(address, { ...init, dispatcher } as WebSocketInit);
    }
  };
}
