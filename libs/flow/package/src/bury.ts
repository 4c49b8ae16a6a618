import { StepFailure } from './failures.ts';
import { identify, writeLetter, type Rejected } from './dead-letter.ts';
import type { DeadLetters } from './ports.ts';

/**
 * Stores the dead letter of an event and returns its id. The same event again adds an attempt to its letter; another
 * event that claims the same id gets a letter of its own.
 *
 * @throws StepFailure
 */
export async function bury(rejected: Rejected, letters: DeadLetters): Promise<string> {
  const { id, contentSha256 } = identify(rejected.received.bytes, rejected.event);
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    let letterId = id;
    let stored = await letters.get(letterId);
    if (stored !== undefined && stored.letter.contentSha256 !== contentSha256) {
      letterId = `${id}-${contentSha256.slice(0, 12)}`;
      stored = await letters.get(letterId);
    }
    const letter = writeLetter(letterId, contentSha256, rejected, stored?.letter);
    if (await letters.put(letter, stored?.version)) return letterId;
  }
  throw new StepFailure('transient', 'dead-letter-contended', `dead letter ${id} is being changed by others`);
}
