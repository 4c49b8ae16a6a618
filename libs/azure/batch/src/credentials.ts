import { createHmac } from 'node:crypto';
import { BatchSharedKeyCredentials, type BatchServiceClient } from '@azure/batch';
import type { TokenCredential } from '@azure/identity';
import { BatchError } from './errors.ts';

type SdkCredentials = ConstructorParameters<typeof BatchServiceClient>[0];

/** Batch's audience. The client's own adapter asks for Azure Resource Manager's, whose tokens Batch refuses. */
export const batchScope = 'https://batch.core.windows.net/.default';

/** A token is renewed this long before it expires. */
const renewBeforeMs = 5 * 60_000;
/** A token that was fetched because Batch refused the one before gets this long before it may be blamed as well. */
const trustRenewedMs = 60_000;

/** What is signed of a request. `path` is as on the wire; `query` holds decoded values. */
export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  /** Bytes of the body, undefined when there is none. */
  readonly contentLength: number | undefined;
  readonly contentType: string;
  readonly ocpDate: string;
}

/** How requests prove who sends them, for the official client and for our own path alike. */
export interface Authorizer {
  readonly sdk: SdkCredentials;
  /** The `Authorization` header. Rejects when no token can be had. */
  readonly authorization: (request: SignedRequest) => string | Promise<string>;
  /**
   * Called after a 401 of a request that began at `startedMs`: true = there is, or will be, another token, so that the
   * same request may succeed; false = it cannot help (a key, or a token that was only just renewed for this reason).
   */
  readonly renew: (startedMs: number) => boolean;
}

/**
 * The string that SharedKey signs: method, eleven standard headers (of which we send length and type), `ocp-` headers,
 * account and path, query by name (Batch REST reference, "Authenticate requests to the Azure Batch service").
 */
export function stringToSign(accountName: string, request: SignedRequest): string {
  const { method, path, query, contentLength, contentType, ocpDate } = request;
  // The empty lines are: encoding, language · MD5 · date, four conditions, range.
  const headers = `\n\n${contentLength ?? ''}\n\n${contentType}\n\n\n\n\n\n\n`;
  const parameters = [...query.keys()].sort().map((name) => `\n${name}:${query.get(name) ?? ''}`);
  return `${method}\n${headers}ocp-date:${ocpDate}\n/${accountName}${path}${parameters.join('')}`;
}

export function sharedKeyAuthorizer(accountName: string, accountKey: string): Authorizer {
  const key = Buffer.from(accountKey, 'base64');
  return {
    sdk: new BatchSharedKeyCredentials(accountName, accountKey),
    authorization: (request) => {
      const signature = createHmac('sha256', key).update(stringToSign(accountName, request), 'utf8').digest('base64');
      return `SharedKey ${accountName}:${signature}`;
    },
    renew: () => false,
  };
}

/** Entra ID: a token for Batch's audience, asked for once and kept until shortly before it expires or is refused. */
export function entraAuthorizer(credential: TokenCredential, now: () => number): Authorizer {
  let current: Promise<string> | undefined;
  let renewAt = 0;
  let renewedMs = Number.NEGATIVE_INFINITY;
  const token = (): Promise<string> => {
    if (current === undefined || now() >= renewAt) {
      renewAt = Number.POSITIVE_INFINITY;
      const asked = credential.getToken(batchScope).then((found) => {
        if (found === null) throw new Error(`no token for ${batchScope}`);
        renewAt = found.expiresOnTimestamp - renewBeforeMs;
        return found.token;
      });
      current = asked;
      asked.catch(() => {
        if (current === asked) current = undefined;
      });
    }
    return current;
  };
  const authorization = async (): Promise<string> => {
    try {
      return `Bearer ${await token()}`;
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      throw new BatchError('account', { code: 'NoToken', status: 0, detail }, error);
    }
  };
  return {
    sdk: {
      signRequest: async (request) => {
        request.headers.set('authorization', await authorization());
        return request;
      },
    },
    authorization,
    renew: (startedMs) => {
      // Another request that was under way at the same time has seen to it.
      if (renewedMs >= startedMs) return true;
      if (now() - renewedMs < trustRenewedMs) return false;
      current = undefined;
      renewedMs = now();
      return true;
    },
  };
}
