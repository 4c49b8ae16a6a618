/** A condition did not come true in time. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/**
 * Asks until there is an answer.
 *
 * @param probe answers `undefined` for "not yet"
 * @throws DeadlineError naming what was waited for; whatever the probe throws.
 */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined>,
  timeoutMs: number,
  everyMs = 50,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new DeadlineError(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
