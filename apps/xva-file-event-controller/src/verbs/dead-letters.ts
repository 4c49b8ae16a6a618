import { letterId, type DeadLetter } from '@xva/contracts';
import {
  changeLetter,
  closeLetter,
  replayLetter,
  selectLetters,
  StepFailure,
  type LetterQuery,
} from '@xva/flow-package';
import {
  cliExitCodes,
  CliError,
  csvLine,
  printable,
  printableJson,
  systemClock,
  type Verb,
  type VerbContext,
} from '@xva/runtime';
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
    {
      flags: '--csv',
      description: 'list: lines of CSV with a header; cells that a spreadsheet would calculate are guarded',
    },
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
  if (id !== '' && !letterId.safeParse(id).success) {
    throw new CliError(`${printable(id)} is no letter id: it is 32 hex digits, or raw- and 32`, cliExitCodes.usage);
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

function summary(letter: DeadLetter): Readonly<Record<(typeof csvColumns)[number], string | number | null>> {
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
  return printable(
    `${letter.id}  ${letter.state}  ${letter.lastSeen}  ${letter.attempts}x  ${book}  ${letter.reason}: ${letter.message.slice(0, 160)}`,
  );
}

const csvColumns = [
  'id',
  'state',
  'reason',
  'attempts',
  'firstSeen',
  'lastSeen',
  'book',
  'eventId',
  'runId',
  'traceId',
  'message',
] as const;

async function list(context: Context, composition: Composition, query: LetterQuery, { csv }: Options): Promise<void> {
  let count = 0;
  const asCsv = csv === true && !context.json;
  if (asCsv) context.outputLine({}, csvLine(csvColumns));
  for await (const letter of readLetters(composition, query)) {
    count += 1;
    const told = summary(letter);
    context.outputLine(told, asCsv ? csvLine(csvColumns.map((column) => told[column])) : line(letter));
  }
  if (count === 0 && !context.json && !asCsv) context.outputLine({}, 'no dead letters');
}

async function show(context: Context, composition: Composition, query: LetterQuery): Promise<void> {
  for await (const letter of readLetters(composition, query)) {
    context.output(letter, printableJson(letter, 2));
    return;
  }
  throw new CliError(`no dead letter ${printable(query.ids?.[0] ?? '')}`, cliExitCodes.refused);
}

const readsAtOnce = 16;

/** The letters that are meant, whole, a few read at once: memory does not grow with their number. */
async function* readLetters({ deadLetters }: Composition, query: LetterQuery): AsyncGenerator<DeadLetter> {
  let ids: string[] = [];
  const read = async (): Promise<readonly DeadLetter[]> => {
    const found = await Promise.all(ids.map((id) => deadLetters.get(id)));
    ids = [];
    return found.filter((stored) => stored !== undefined).map(({ letter }) => letter);
  };
  for await (const { id } of selectLetters(deadLetters, query)) {
    ids.push(id);
    if (ids.length >= readsAtOnce) yield* await read();
  }
  yield* await read();
}

async function replay(context: Context, composition: Composition, query: LetterQuery, options: Options): Promise<void> {
  const { stopTaking, stopWorking } = context.lifecycle;
  const doIt = options['yes'] === true;
  let count = 0;
  let failed = 0;
  for (const id of await chosen(composition, query)) {
    stopTaking.throwIfAborted();
    const letter = (await composition.deadLetters.get(id))?.letter;
    if (letter === undefined) continue;
    count += 1;
    if (!doIt) {
      context.outputLine({ id, would: 'replay' }, `would replay ${line(letter)}`);
      continue;
    }
    const { handle, deadLetters } = composition;
    const { outcome } = await replayLetter(letter, handle, deadLetters, systemClock, stopWorking);
    logOutcome(context.logger, outcome, { replay: true });
    if (outcome.outcome === 'submitted') {
      const { runId, existed } = outcome;
      context.outputLine({ id, runId, existed }, `${id} is run ${runId}${existed ? ', which was there already' : ''}`);
    } else {
      failed += 1;
      const { reason, message } = outcome.failure;
      context.outputLine({ id, reason, message }, printable(`${id} failed again: ${reason}: ${message}`));
    }
  }
  if (!doIt && !context.json) context.outputLine({}, `${count} letters; --yes replays them`);
  if (failed > 0) throw new CliError(`${failed} of ${count} failed again`);
}

async function discard(
  context: Context,
  composition: Composition,
  query: LetterQuery,
  options: Options,
): Promise<void> {
  const ids = await chosen(composition, query);
  const note = typeof options['note'] === 'string' ? options['note'] : 'by command';
  const doIt = options['yes'] === true;
  let count = 0;
  for (const id of ids) {
    const letter = (await composition.deadLetters.get(id))?.letter;
    if (letter === undefined) continue;
    count += 1;
    if (doIt) {
      const close = (stored: DeadLetter): DeadLetter => closeLetter(stored, 'discarded', note, systemClock.now());
      await changeLetter(composition.deadLetters, id, close);
    }
    const did = doIt ? 'discarded' : 'would discard';
    context.outputLine({ id, did }, `${did} ${line(letter)}`);
  }
  if (!doIt && !context.json) context.outputLine({}, `${count} letters; --yes discards them`);
}

/** Ids of the letters that are meant. @throws CliError when a letter was named that does not wait. */
async function chosen({ deadLetters }: Composition, query: LetterQuery): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { id } of selectLetters(deadLetters, query)) ids.push(id);
  if (ids.length === 0 && query.ids !== undefined) {
    throw new CliError(`no dead letter ${printable(query.ids.join(', '))} that waits`, cliExitCodes.refused);
  }
  return ids;
}
