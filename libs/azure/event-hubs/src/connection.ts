import { DefaultAzureCredential } from '@azure/identity';
import type { EventHubClientOptions } from '@azure/event-hubs';
import { HubError } from './errors.ts';
import { webSocketThroughProxy } from './proxied-web-socket.ts';

/** How to reach one event hub. */
export interface HubConnectionOptions {
  /** `<namespace>.servicebus.windows.net` with the process's Entra identity, or else a connection string. */
  readonly namespace?: string | undefined;
  readonly connectionString?: string | undefined;
  readonly hub: string;
  /** `amqp` (5671) or `websockets` (443), for networks that let nothing else out. */
  readonly transport?: 'amqp' | 'websockets' | undefined;
  /** HTTP proxy for `websockets`, such as `http://proxy.bank.example:8080`. */
  readonly proxyUrl?: string | undefined;
  /** The client's time for one try. It waits that long for an acknowledgement when a connection dies silently. */
  readonly tryTimeoutMs?: number | undefined;
}

/**
 * The SDK's settings. Its own retries are off: more than one failed try comes back as an error without a code, and a
 * receiver that has used them up starts again from its checkpoint instead of going on behind the last event.
 */
export function clientOptionsOf(options: HubConnectionOptions): EventHubClientOptions {
  if (options.proxyUrl !== undefined && options.transport !== 'websockets') {
    throw new HubError('BadOptions', 'operator', 'a proxy needs the transport websockets');
  }
  const webSocket = options.proxyUrl === undefined ? WebSocket : webSocketThroughProxy(options.proxyUrl);
  return {
    retryOptions: { maxRetries: 0, timeoutInMs: options.tryTimeoutMs ?? 10_000, retryDelayInMs: 100 },
    ...(options.transport === 'websockets' ? { webSocketOptions: { webSocket } } : {}),
  };
}

export type HubAddress =
  | { readonly by: 'connectionString'; readonly connectionString: string }
  | { readonly by: 'identity'; readonly namespace: string; readonly credential: DefaultAzureCredential };

/** @throws HubError when neither or both of namespace and connection string are given. */
export function hubAddressOf(options: HubConnectionOptions): HubAddress {
  const { namespace, connectionString } = options;
  if (connectionString !== undefined && namespace === undefined) return { by: 'connectionString', connectionString };
  if (namespace !== undefined && connectionString === undefined) {
    return { by: 'identity', namespace, credential: new DefaultAzureCredential() };
  }
  throw new HubError('BadOptions', 'operator', 'give either a namespace or a connection string');
}
