import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

export const tenantId = '11111111-2222-4333-8444-555555555555';
export const audience = 'api://xva-controller';

export interface TokenOptions {
  readonly roles?: readonly string[];
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly audience?: string;
  readonly issuer?: string;
  /** Seconds from now. */
  readonly expiresIn?: number;
  readonly notBefore?: number;
  readonly kid?: string;
}

/** A tenant of Entra ID on this machine: publishes its keys and signs tokens; can rotate, and can be away. */
export class IdentityProvider {
  readonly #server: Server;
  readonly #keys = new Map<
    string,
    { readonly privateKey: CryptoKey; readonly publicKey: CryptoKey; readonly jwk: JWK }
  >();
  #newest = '';
  isAway = false;
  asked = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<IdentityProvider> {
    const server = createServer((_request, response) => {
      provider.asked += 1;
      if (provider.isAway) response.writeHead(503).end();
      else response.setHeader('content-type', 'application/json').end(JSON.stringify(provider.jwks));
    });
    const provider = new IdentityProvider(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await provider.rotate();
    return provider;
  }

  get jwks(): { keys: JWK[] } {
    return { keys: [...this.#keys.values()].map(({ jwk }) => jwk) };
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get issuer(): string {
    return `${this.url}/${tenantId}/v2.0`;
  }

  /** Settings of a controller that takes this tenant's tokens. */
  settings(): Record<string, string> {
    return {
      XVA_ENTRA_TENANT_ID: tenantId,
      XVA_ENTRA_AUDIENCES: JSON.stringify([audience]),
      XVA_ENTRA_ISSUER: this.issuer,
      XVA_ENTRA_JWKS_URL: `${this.url}/keys`,
      XVA_ENTRA_JWKS_COOLDOWN_MS: '0',
    };
  }

  /** Publishes one more key and signs with it; without `keep` the others are no longer published. */
  async rotate(keep = true): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    const kid = `key-${this.#keys.size + 1}-${this.asked}`;
    if (!keep) this.#keys.clear();
    this.#keys.set(kid, {
      privateKey,
      publicKey,
      jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'RS256' },
    });
    this.#newest = kid;
  }

  async token(options: TokenOptions = {}): Promise<string> {
    const { privateKey } = this.#keys.get(this.#newest) ?? (await generateKeyPair('RS256'));
    return this.sign(privateKey, { alg: 'RS256', kid: options.kid ?? this.#newest }, options);
  }

  /** Signed by a key that nobody published, under a name that somebody did. */
  async forged(options: TokenOptions = {}): Promise<string> {
    const { privateKey } = await generateKeyPair('RS256');
    return this.sign(privateKey, { alg: 'RS256', kid: this.#newest }, options);
  }

  /** The classic confusion: HS256 with the published key as the secret. */
  async confused(options: TokenOptions = {}): Promise<string> {
    const { publicKey } = this.#keys.get(this.#newest) ?? (await generateKeyPair('RS256'));
    const secret = new TextEncoder().encode(await exportSPKI(publicKey));
    return this.sign(secret, { alg: 'HS256', kid: this.#newest }, options);
  }

  async sign(
    key: CryptoKey | Uint8Array,
    header: { readonly alg: string; readonly kid: string },
    options: TokenOptions = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ tid: tenantId, oid: 'user-1', roles: [...(options.roles ?? ['reader'])], ...options.claims })
      .setProtectedHeader(header)
      .setIssuedAt(now - 300)
      .setNotBefore(now + (options.notBefore ?? -300))
      .setExpirationTime(now + (options.expiresIn ?? 300))
      .setIssuer(options.issuer ?? this.issuer)
      .setAudience(options.audience ?? audience)
      .sign(key);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
