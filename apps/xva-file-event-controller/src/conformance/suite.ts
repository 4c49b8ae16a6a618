import { frozenRequestSchema, parseContract, problemSchema, sha256Hex, type FrozenRequest } from '@xva/contracts';
import { verifyManifest, StepFailure, type Defect, type VerifiedPackage } from '@xva/flow-package';
import { exchange, type Answer, type Call } from './exchange.ts';

/** Thrown by a check: what the implementation did, and what it should have done. */
export class NotConformingError extends Error {
  override readonly name = 'NotConformingError';
}

export function demand(holds: boolean, message: string): asserts holds {
  if (!holds) throw new NotConformingError(message);
}

export interface SuiteOptions {
  readonly url: string;
  readonly apiKey: string;
  /** A request that the implementation can package whole; frozen-request of the contracts. */
  readonly request: unknown;
  readonly deadlineMs: number;
  /** A body above the implementation's limit. */
  readonly tooLargeBytes: number;
}

/** What checks share: the address, the key, a request that is good, and what was answered to it first. */
export class Suite {
  readonly options: SuiteOptions;
  readonly request: FrozenRequest;
  #first: Promise<Answer> | undefined;

  /** @throws ContractError when the request itself breaks the contract. */
  constructor(options: SuiteOptions) {
    this.options = options;
    this.request = parseContract(frozenRequestSchema, options.request, 'the request to test with');
  }

  send(call: Call, key = this.options.apiKey): Promise<Answer> {
    const headers = { 'x-api-key': key, ...call.headers };
    return exchange(this.options.url, { ...call, headers }, this.options.deadlineMs);
  }

  post(body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    const all = { 'content-type': 'application/json', ...headers };
    return this.send({ method: 'POST', path: '/v1/packages', headers: all, body: bytes });
  }

  /** The answer to the good request, asked for once. */
  first(): Promise<Answer> {
    this.#first ??= this.post(this.request);
    return this.#first;
  }

  part(packageId: string, sha256: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.send({ path: `/v1/packages/${packageId}/objects/${sha256}`, headers });
  }

  /** The first answer as the controller reads it. */
  async package(): Promise<VerifiedPackage> {
    const { defects, found } = await this.judged();
    if (found === undefined)
      throw new NotConformingError(`there is no package to look at: ${defects[0]?.message ?? ''}`);
    return found;
  }

  /** What the controller would say of the first answer: every defect, or the package. */
  async judged(): Promise<{ readonly defects: readonly Defect[]; readonly found: VerifiedPackage | undefined }> {
    const { status, body } = await this.first();
    demand(status === 200, `a good request is answered ${status} (${excerpt(body)}), not 200`);
    return this.judge(body, this.request);
  }

  judge(
    body: Buffer,
    request: FrozenRequest,
  ): { readonly defects: readonly Defect[]; readonly found: VerifiedPackage | undefined } {
    const { eventId, requestKey, settings, trades } = request;
    const asked = { id: eventId, data: { requestKey } } as Parameters<typeof verifyManifest>[1];
    const limits = { maxPartBytes: 2 ** 40, maxPackageBytes: 2 ** 42 };
    try {
      return { defects: [], found: verifyManifest(body, asked, { settings, trades }, limits) };
    } catch (error) {
      if (!(error instanceof StepFailure)) throw error;
      const { defects, reason, message } = error;
      return {
        defects: defects.length > 0 ? defects : [{ subject: 'answer', code: reason, message }],
        found: undefined,
      };
    }
  }
}

/** The first characters of a body, for a message. */
export function excerpt(body: Buffer): string {
  return JSON.stringify(body.subarray(0, 160).toString('latin1'));
}

/**
 * An error answer as the contract has it: problem details that repeat the status and carry a code.
 *
 * @throws NotConformingError
 */
export function demandProblem(
  answer: Answer,
  statuses: readonly number[],
  what: string,
): ReturnType<typeof readProblem> {
  demand(
    statuses.includes(answer.status),
    `${what} is answered ${answer.status} (${excerpt(answer.body)}), not ${statuses.join(' or ')}`,
  );
  const problem = readProblem(answer, what);
  demand(
    problem.status === answer.status,
    `${what}: the problem says status ${problem.status}, the answer ${answer.status}`,
  );
  return problem;
}

function readProblem({ headers, body }: Answer, what: string) {
  const type = headers['content-type'] ?? '';
  demand(type.startsWith('application/problem+json'), `${what}: content-type is ${type}, not application/problem+json`);
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw new NotConformingError(`${what}: the problem is no JSON: ${excerpt(body)}`);
  }
  const problem = problemSchema.safeParse(value);
  demand(problem.success, `${what}: not problem details: ${problem.error?.issues[0]?.path.join('.') ?? ''} is wrong`);
  return problem.data;
}

/** The request under another identity, which follows from the name: another package of the same content. */
export function renamed(request: FrozenRequest, name: string): FrozenRequest {
  const { requestKey } = request;
  return {
    ...request,
    eventId: sha256Hex(`conformance:${name}`).slice(0, 32),
    requestKey: { ...requestKey, scenario: `${requestKey.scenario}-${name}`.slice(0, 64) },
  };
}
