import { StepFailure, type CallContext, type InputApiPort } from '@xva/flow-package';
import { bytesOf, HttpClient, isAnswered, readBody } from './http-client.ts';

/** A service that takes longer over an empty answer than this is as good as gone. */
const aliveDeadlineMs = 5_000;

export interface InputApiOptions {
  readonly url: string;
  readonly apiKey: string;
  readonly packageDeadlineMs: number;
  readonly partDeadlineMs: number;
  readonly maxManifestBytes: number;
}

/** The input API over HTTP. It believes nothing: what it passes on is checked by the flow. */
export class InputApiClient implements InputApiPort {
  readonly #http: HttpClient;
  readonly #options: InputApiOptions;

  constructor(options: InputApiOptions) {
    this.#http = new HttpClient({ url: options.url, apiKey: options.apiKey, reason: 'input-api' });
    this.#options = options;
  }

  createPackage(request: Uint8Array, context: CallContext): Promise<Uint8Array> {
    const { maxManifestBytes, packageDeadlineMs: deadlineMs } = this.#options;
    const tooLong = (): StepFailure =>
      new StepFailure('poison', 'package-invalid', `the manifest is longer than ${maxManifestBytes} bytes`);
    const call = { method: 'POST', path: '/v1/packages', body: request, deadlineMs } as const;
    return this.#http.call('createPackage', call, context, (response) => readBody(response, maxManifestBytes, tooLong));
  }

  openPart(packageId: string, sha256: string, context: CallContext): Promise<AsyncIterable<Uint8Array>> {
    return this.#openPart(packageId, sha256, context, this.#options.partDeadlineMs);
  }

  alive(signal: AbortSignal): Promise<boolean> {
    return isAnswered(this.#ask(signal, Math.min(aliveDeadlineMs, this.#options.partDeadlineMs)));
  }

  async #openPart(
    packageId: string,
    sha256: string,
    context: CallContext,
    deadlineMs: number,
  ): Promise<AsyncIterable<Uint8Array>> {
    const path = `/v1/packages/${packageId}/objects/${sha256}`;
    const response = await this.#http.call('openPart', { method: 'GET', path, deadlineMs }, context, (answer) =>
      Promise.resolve(answer),
    );
    return this.#chunks(response, deadlineMs, context.signal);
  }

  /** @throws StepFailure with what is wrong. */
  async check(signal: AbortSignal): Promise<string> {
    await this.#ask(signal, this.#options.partDeadlineMs);
    return 'key accepted';
  }

  /** One authenticated request for an object that cannot exist: 404 means that address and key are right. */
  async #ask(signal: AbortSignal, deadlineMs: number): Promise<void> {
    const nothing = '0'.repeat(64);
    try {
      await this.#openPart(nothing, nothing, { signal, traceparent: '', eventId: 'check' }, deadlineMs);
    } catch (error) {
      if (!(error instanceof StepFailure && error.reason === 'part-not-cached')) throw error;
    }
  }

  async *#chunks(response: Response, deadlineMs: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      yield* bytesOf(response);
    } catch (error) {
      throw this.#http.failure(error, deadlineMs, signal);
    }
  }
}
