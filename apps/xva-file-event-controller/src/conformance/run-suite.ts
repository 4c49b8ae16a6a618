import { describeError } from '@xva/runtime';
import { checks } from './checks.ts';
import { NotConformingError, Suite, type SuiteOptions } from './suite.ts';

export interface CheckResult {
  readonly name: string;
  readonly promise: string;
  readonly ok: boolean;
  /** What was wrong; empty when nothing. */
  readonly detail: string;
  readonly tookMs: number;
}

/**
 * Runs the checks one after the other (the last one looks at what is left after the others) and tells each result.
 *
 * @throws ContractError when the request to test with breaks the contract.
 */
export async function runSuite(
  options: SuiteOptions,
  tell: (result: CheckResult) => void,
  only?: readonly string[],
): Promise<readonly CheckResult[]> {
  const suite = new Suite(options);
  const results: CheckResult[] = [];
  for (const { name, promise, run } of checks) {
    if (only !== undefined && !only.includes(name)) continue;
    const started = performance.now();
    let detail = '';
    try {
      await run(suite);
    } catch (error) {
      const { message } = describeError(error);
      detail = error instanceof NotConformingError ? error.message : `no usable answer: ${String(message)}`;
    }
    const result = { name, promise, ok: detail === '', detail, tookMs: Math.round(performance.now() - started) };
    results.push(result);
    tell(result);
  }
  return results;
}

export const checkNames = checks.map(({ name }) => name);
