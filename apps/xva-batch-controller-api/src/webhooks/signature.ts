import { createHmac } from 'node:crypto';

/**
 * Secret of one webhook: derived from the controller's own key, so that no secret is kept in the tables. A rotation
 * counts the generation up.
 */
export function webhookSecret(signingKey: string, webhookId: string, generation: number): string {
  const bytes = createHmac('sha256', signingKey).update(`webhook:${webhookId}:${generation}`).digest();
  return `whsec_${bytes.toString('base64')}`;
}

/** Signature as Standard Webhooks 1.0 has it: HMAC-SHA256 over `<id>.<timestamp in s>.<body>`, `v1,<base64>`. */
export function signatureOf(secret: string, id: string, timestampSeconds: number, body: string): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestampSeconds}.${body}`).digest('base64')}`;
}
