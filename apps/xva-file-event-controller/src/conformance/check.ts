import type { Suite } from './suite.ts';

/** One promise of the input API's contract. */
export interface ConformanceCheck {
  readonly name: string;
  readonly promise: string;
  /** @throws NotConformingError, or whatever an exchange fails with. */
  readonly run: (suite: Suite) => Promise<void>;
}
