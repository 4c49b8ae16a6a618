import type { ConformanceCheck } from './check.ts';
import { packageChecks, samePackage } from './package-checks.ts';
import { partChecks } from './part-checks.ts';
import { refusalChecks } from './refusal-checks.ts';

/** All that the contract promises; the last one looks at what the others left behind. */
export const checks: readonly ConformanceCheck[] = [
  ...packageChecks,
  ...partChecks,
  ...refusalChecks,
  {
    name: 'alive-after',
    promise: 'after all this the good request gives the same bytes',
    run: (suite) => samePackage(suite, suite.request, 'the same request after everything else'),
  },
];
