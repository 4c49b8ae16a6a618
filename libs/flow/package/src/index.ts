export { Bulkhead } from './bulkhead.ts';
export { bury } from './bury.ts';
export { checkPart } from './check-part.ts';
export { CircuitBreaker, type BreakerOptions } from './circuit-breaker.ts';
export { crashPoints, type CrashPoint } from './crash-points.ts';
export { closeLetter, letterBytes } from './dead-letter.ts';
export { Evidence, type Verdict } from './evidence.ts';
export { asKind, asStepFailure, StepFailure, type Defect, type FailureKind } from './failures.ts';
export { judgeAnswer, type HttpAnswer } from './http-answers.ts';
export {
  idsOf,
  Packager,
  type EventIds,
  type Happening,
  type Load,
  type Outcome,
  type PackagerPorts,
  type PackagerSettings,
  type Step,
} from './packager.ts';
export { parseEvent, type Upcasts } from './parse-event.ts';
export { PartitionReleasedError, PartitionWork, type PartitionWorkOptions } from './partition-work.ts';
export { persevere, type Patience } from './persevere.ts';
export type * from './ports.ts';
export { changeLetter, entryOf, replayLetter, selectLetters, type LetterQuery, type Replay } from './replay.ts';
export { loadRequest, type FrozenBytes, type RequestFacts } from './request.ts';
export { Service, type ServiceOptions } from './service.ts';
export { storePackage, type StoredPackage, type StoreTools } from './store-package.ts';
export { verifyManifest, type PackageLimits, type VerifiedPackage } from './verify-manifest.ts';
export { PartitionWindow, type Placed, type WindowOptions } from './window.ts';
