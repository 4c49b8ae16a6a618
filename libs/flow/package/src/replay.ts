import type { DeadLetter } from '@xva/contracts';
import type { Clock } from '@xva/runtime';
import { closeLetter, letterBytes } from './dead-letter.ts';
import { StepFailure } from './failures.ts';
import type { Outcome } from './packager.ts';
import type { DeadLetters, LetterEntry, ReceivedEvent } from './ports.ts';

/** Which letters are meant; every given condition must hold. */
export interface LetterQuery {
  readonly ids?: readonly string[];
  readonly reason?: string;
  readonly book?: string;
  /** Last seen not before / not after. */
  readonly since?: Date;
  readonly until?: Date;
  /** Also those that were replayed or discarded. */
  readonly closedToo?: boolean;
}

export function matchesQuery(letter: LetterEntry, query: LetterQuery): boolean {
  const seen = Date.parse(letter.lastSeen);
  return (
    (query.closedToo === true || letter.state === 'waiting') &&
    (query.ids === undefined || query.ids.includes(letter.id)) &&
    (query.reason === undefined || query.reason === letter.reason) &&
    (query.book === undefined || query.book === letter.book) &&
    (query.since === undefined || seen >= query.since.getTime()) &&
    (query.until === undefined || seen <= query.until.getTime())
  );
}

/** The letters that are meant, from the listing alone unless ids are given. @throws StepFailure */
export async function* selectLetters(letters: DeadLetters, query: LetterQuery): AsyncGenerator<LetterEntry> {
  if (query.ids !== undefined) {
    for (const id of query.ids) {
      const stored = await letters.get(id);
      if (stored !== undefined && matchesQuery(entryOf(stored.letter), query)) yield entryOf(stored.letter);
    }
    return;
  }
  for await (const letter of letters.list()) if (matchesQuery(letter, query)) yield letter;
}

export function entryOf(letter: DeadLetter): LetterEntry {
  const { id, state, reason, requestKey, lastSeen, attempts } = letter;
  return { id, state, reason, book: requestKey?.book ?? null, lastSeen, attempts };
}

export interface Replay {
  readonly id: string;
  readonly outcome: Outcome;
}

/**
 * Works on a letter's event once more and closes the letter when it became a job. A second replay finds the run there
 * and changes nothing; a failure adds an attempt to the letter.
 *
 * @throws StepFailure, or the signal's reason.
 */
export async function replayLetter(
  letter: DeadLetter,
  handle: (received: ReceivedEvent, signal: AbortSignal) => Promise<Outcome>,
  letters: DeadLetters,
  clock: Clock,
  signal: AbortSignal,
): Promise<Replay> {
  const outcome = await handle({ bytes: letterBytes(letter), source: null }, signal);
  if (outcome.outcome === 'submitted') {
    const detail = `run ${outcome.runId}${outcome.existed ? ' (was there already)' : ''}`;
    await changeLetter(letters, letter.id, (stored) => closeLetter(stored, 'replayed', detail, clock.now()));
  }
  return { id: letter.id, outcome };
}

/** Changes a stored letter by compare-and-swap; false when there is none. @throws StepFailure */
export async function changeLetter(
  letters: DeadLetters,
  id: string,
  change: (letter: DeadLetter) => DeadLetter,
): Promise<boolean> {
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    const stored = await letters.get(id);
    if (stored === undefined) return false;
    if (await letters.put(change(stored.letter), stored.version)) return true;
  }
  throw new StepFailure('transient', 'dead-letter-contended', `dead letter ${id} is being changed by others`);
}
