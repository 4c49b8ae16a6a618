/**
 * rhea arms its idle timer (2 minutes) once more when it writes to a connection that has just been lost, and never takes
 * it back: a test process would stay for that long. Timers of more than a minute no longer keep this one alive.
 */
export function letLongTimersGo(): void {
  const original = globalThis.setTimeout;
  const patched = (...args: Parameters<typeof setTimeout>): NodeJS.Timeout => {
    const timer = original(...args);
    return (args[1] ?? 0) > 60_000 ? timer.unref() : timer;
  };
  globalThis.setTimeout = Object.assign(patched, { __promisify__: original.__promisify__ }) as typeof setTimeout;
}
