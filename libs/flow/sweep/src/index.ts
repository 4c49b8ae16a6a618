export { decide, refuseSweep } from './decide.ts';
export * from './items.ts';
export { mark, policyHashOf, runFacts, type SweepDeps } from './mark.ts';
export { sweepPolicySchema, type SweepPolicy, type SweepRule } from './policy.ts';
export * from './ports.ts';
export { collectReferences, UnknownReferencesError } from './references.ts';
export { sweep, type SweepAct, type SweepOutcome } from './sweep.ts';
