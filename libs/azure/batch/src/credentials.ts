import { BatchSharedKeyCredentials, type BatchServiceClient } from '@azure/batch';
import type { TokenCredential } from '@azure/identity';

type Credentials = ConstructorParameters<typeof BatchServiceClient>[0];

/** Batch's audience. The client's own adapter asks for Azure Resource Manager's, whose tokens Batch refuses. */
export const batchScope = 'https://batch.core.windows.net/.default';

/** A token is renewed this long before it expires. */
const renewBeforeMs = 5 * 60_000;

export function sharedKeyCredentials(accountName: string, accountKey: string): Credentials {
  return new BatchSharedKeyCredentials(accountName, accountKey);
}

/** Entra ID: signs with a token for Batch's audience, asked for once and kept until shortly before it expires. */
export function entraCredentials(credential: TokenCredential, now: () => number): Credentials {
  let current: Promise<{ token: string; expiresOnTimestamp: number }> | undefined;
  let renewAt = 0;
  const token = async (): Promise<string> => {
    if (current === undefined || now() >= renewAt) {
      renewAt = Number.POSITIVE_INFINITY;
      current = credential.getToken(batchScope).then((found) => {
        if (found === null) throw new Error(`no token for ${batchScope}`);
        renewAt = found.expiresOnTimestamp - renewBeforeMs;
        return found;
      });
      current.catch(() => {
        current = undefined;
      });
    }
    return (await current).token;
  };
  return {
    signRequest: async (request) => {
      request.headers.set('authorization', `Bearer ${await token()}`);
      return request;
    },
  };
}
