export { buildRunEvent } from './event.ts';
export { freezeRequest, identityOf, parseTerms, readFrozen, type Frozen, type Identity } from './freeze.ts';
export {
  crashPoints,
  handleRow,
  restMs,
  type Blame,
  type CrashPoint,
  type DetectDeps,
  type RowOutcome,
} from './handle.ts';
export { pollOnce, type PollOptions, type PollOutcome } from './poll.ts';
export * from './ports.ts';
export { replayEvent, type ReplayDeps, type ReplayOutcome } from './replay.ts';
export { readRequest, type RequestReading } from './request.ts';
