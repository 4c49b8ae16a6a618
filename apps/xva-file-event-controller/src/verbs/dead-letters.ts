import {
  changeLetter,
  closeLetter,
  replayLetter,
  selectLetters,
  StepFailure,
  type DeadLetter,
  type LetterQuery,
} from '@xva/flow-package';
import { cliExitCodes, CliError, systemClock, type Verb, type VerbContext } from '@xva/runtime';
import { compose, type Composition } from '../compose.ts';
import type { configSchema } from '../config.ts';
import { logOutcome } from '../consume.ts';

type Context = VerbContext<typeof configSchema>;
type Options = Readonly<Record<string, string | boolean | undefined>>;
type Action = (context: Context, composition: Composition, query: LetterQuery, options: Options) => Promise<void>;

const actions: Readonly<Record<string, Action>> = { list, show, replay, discard };

export const deadLettersVerb: Verb<typeof configSchema> = {
  name: 'dead-letters',
  description: 'list, show, replay or discard events that could not become a job',
  args: [
    { name: '<action>', description: 'list, show, replay or discard' },
    { name: '[id]', description: 'id of a letter' },
  ],
  options: [
    { flags: '--reason <reason>', description: 'only letters with this reason' },
    { flags: '--book <book>', description: 'only letters of this book' },
    { flags: '--since <time>', description: 'only letters last seen at or after this ISO 8601 time' },
    { flags: '--until <time>', description: 'only letters last seen at or before this ISO 8601 time' },
    { flags: '--all', description: 'replay, discard: every letter that waits' },
    { flags: '--closed', description: 'list: also those that were replayed or discarded' },
    { flags: '--note <text>', description: 'discard: why' },
    { flags: '--yes', description: 'replay, discard: do it; without it, only say what would be done' },
  ],
  run: async (context, [name = '', id = ''], options) => {
    const action = actions[name];
    if (action === undefined) {
      throw new CliError(`no action ${name}; there are list, show, replay and discard`, cliExitCodes.usage);
    }
    const composition = compose(context.config, context.logger, 'impatient');
    try {
      await action(context, composition, queryOf(name, id, options), options);
    } catch (error) {
      if (error instanceof StepFailure) throw new CliError(error.message, cliExitCodes.notReady);
      throw error;
    } finally {
      await composition.close();
    }
  },
};

function queryOf(action: string, id: string, options: Options): LetterQuery {
  const { reason, book, since, until } = options;
  const isNarrow = id !== '' || [reason, book, since, until].some((value) => value !== undefined);
  if ((action === 'replay' || action === 'discard') && !isNarrow && options['all'] !== true) {
    throw new CliError(`${action} needs an id, --reason, --book, --since, --until or --all`, cliExitCodes.usage);
  }
  if (action === 'show' && id === '') throw new CliError('show needs an id', cliExitCodes.usage);
  return {
    ...(id === '' ? {} : { ids: [id] }),
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(typeof book === 'string' ? { book } : {}),
    ...(typeof since === 'string' ? { since: timeOf('--since', since) } : {}),
    ...(typeof until === 'string' ? { until: timeOf('--until', until) } : {}),
    ...(action === 'show' || options['closed'] === true ? { closedToo: true } : {}),
  };
}

function timeOf(option: string, text: string): Date {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) throw new CliError(`${option} ${text} is no time`, cliExitCodes.usage);
  return time;
}

function summary(letter: DeadLetter): object {
  const { id, state, reason, message, attempts, firstSeen, lastSeen, eventId, runId, requestKey, traceId } = letter;
  return {
    id,
    state,
    reason,
    message,
    attempts,
    firstSeen,
    lastSeen,
    eventId,
    runId,
    book: requestKey?.book ?? null,
    traceId,
  };
}

function line(letter: DeadLetter): string {
  const book = letter.requestKey?.book ?? '-';
  return `${letter.id}  ${letter.state}  ${letter.lastSeen}  ${letter.attempts}x  ${book}  ${letter.reason}: ${letter.message.slice(0, 160)}`;
}

async function list(context: Context, { deadLetters }: Composition, query: LetterQuery): Promise<void> {
  let count = 0;
  for await (const letter of selectLetters(deadLetters, query)) {
    count += 1;
    context.outputLine(summary(letter), line(letter));
  }
  if (count === 0 && !context.json) context.outputLine({}, 'no dead letters');
}

async function show(context: Context, { deadLetters }: Composition, query: LetterQuery): Promise<void> {
  for await (const letter of selectLetters(deadLetters, query)) {
    context.output(letter, JSON.stringify(letter, null, 2));
    return;
  }
  throw new CliError(`no dead letter ${query.ids?.[0] ?? ''}`, cliExitCodes.refused);
}

async function replay(context: Context, composition: Composition, query: LetterQuery, options: Options): Promise<void> {
  const letters = await chosen(composition, query);
  const { stopTaking, stopWorking } = context.lifecycle;
  let failed = 0;
  for (const letter of letters) {
    stopTaking.throwIfAborted();
    if (options['yes'] !== true) {
      context.outputLine({ id: letter.id, would: 'replay' }, `would replay ${line(letter)}`);
      continue;
    }
    const { handle, deadLetters } = composition;
    const { outcome } = await replayLetter(letter, handle, deadLetters, systemClock, stopWorking);
    logOutcome(context.logger, outcome, { replay: true });
    if (outcome.outcome === 'submitted') {
      const { runId, existed } = outcome;
      context.outputLine(
        { id: letter.id, runId, existed },
        `${letter.id} is run ${runId}${existed ? ', which was there already' : ''}`,
      );
    } else {
      failed += 1;
      const { reason, message } = outcome.failure;
      context.outputLine({ id: letter.id, reason, message }, `${letter.id} failed again: ${reason}: ${message}`);
    }
  }
  if (options['yes'] !== true && !context.json) context.outputLine({}, `${letters.length} letters; --yes replays them`);
  if (failed > 0) throw new CliError(`${failed} of ${letters.length} failed again`);
}

async function discard(
  context: Context,
  composition: Composition,
  query: LetterQuery,
  options: Options,
): Promise<void> {
  const letters = await chosen(composition, query);
  const note = typeof options['note'] === 'string' ? options['note'] : 'by command';
  for (const letter of letters) {
    if (options['yes'] === true) {
      const close = (stored: DeadLetter): DeadLetter => closeLetter(stored, 'discarded', note, systemClock.now());
      await changeLetter(composition.deadLetters, letter.id, close);
    }
    const did = options['yes'] === true ? 'discarded' : 'would discard';
    context.outputLine({ id: letter.id, did }, `${did} ${line(letter)}`);
  }
  if (options['yes'] !== true && !context.json)
    context.outputLine({}, `${letters.length} letters; --yes discards them`);
}

/** @throws CliError when a letter was named that does not wait. */
async function chosen({ deadLetters }: Composition, query: LetterQuery): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for await (const letter of selectLetters(deadLetters, query)) letters.push(letter);
  if (letters.length === 0 && query.ids !== undefined) {
    throw new CliError(`no dead letter ${query.ids.join(', ')} that waits`, cliExitCodes.refused);
  }
  return letters;
}
