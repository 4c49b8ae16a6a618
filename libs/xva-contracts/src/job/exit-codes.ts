/** How a task ends, by class of failure; the runner's exit code is the only thing that decides what is tried next. */
export const exitCodes = {
  success: 0,
  usage: 2,
  badInput: 10,
  modelFailure: 20,
  engineCrash: 30,
  outOfMemory: 40,
  cancelled: 50,
  infrastructure: 60,
  internal: 70,
} as const;

export type ExitClass = keyof typeof exitCodes | 'signal' | 'unknown';

/** The class of an exit code as Batch reports it (negative = killed by a signal). */
export function exitClassOf(code: number): ExitClass {
  if (code < 0) return code === -9 ? 'outOfMemory' : 'signal';
  const found = Object.entries(exitCodes).find(([, value]) => value === code);
  return found === undefined ? 'unknown' : (found[0] as keyof typeof exitCodes);
}
