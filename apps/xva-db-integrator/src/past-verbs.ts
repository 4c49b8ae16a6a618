import { replayEvent, type ReplayOutcome } from '@xva/flow-detect';
import { cliExitCodes, CliError, systemClock } from '@xva/runtime';
import { dayNumber, type AsOfRange, type PastRow } from '@xva/sql-polling';
import { chosen, withComposition, type IntegratorVerb } from './verb-kit.ts';

type Options = Readonly<Record<string, string | boolean | undefined>>;

/** @throws CliError (2) for a date that is none, or a range that is empty */
function rangeOf(options: Options): AsOfRange {
  const dateOf = (name: 'from' | 'to'): string => {
    const text = options[name];
    if (typeof text !== 'string')
      throw new CliError(`--${name} is needed: an as-of date, YYYY-MM-DD`, cliExitCodes.usage);
    try {
      dayNumber(text);
    } catch {
      throw new CliError(`--${name} ${text} is no date (YYYY-MM-DD)`, cliExitCodes.usage);
    }
    return text;
  };
  const range = { from: dateOf('from'), to: dateOf('to') };
  if (range.from > range.to) {
    throw new CliError(`--from ${range.from} lies after --to ${range.to}`, cliExitCodes.usage);
  }
  return range;
}

const rangeOptions = [
  { flags: '--definition <name>', description: 'this one only' },
  { flags: '--from <date>', description: 'first as-of date, YYYY-MM-DD' },
  { flags: '--to <date>', description: 'last as-of date, YYYY-MM-DD' },
  { flags: '--execute', description: 'do it; without this only what would be done is printed' },
];

function rowText(definition: string, done: string, { requestKey, eventId, reason }: PastRow): string {
  return `${done} ${definition} ${requestKey}${eventId === null ? '' : ` event ${eventId}`}${reason === null || reason === '' ? '' : `: ${reason}`}`;
}

export const statusVerb: IntegratorVerb = {
  name: 'status',
  description: 'say where each definition stands: who leads, how far it has read, whether changes may have been missed',
  options: [{ flags: '--definition <name>', description: 'this one only' }],
  run: (context, _args, options) =>
    withComposition(context, async (composition) => {
      for (const { definition, source } of chosen(composition, options['definition'])) {
        const { name, mode } = definition;
        const state = 'checkState' in source ? await source.checkState() : 'its state is in the table';
        context.outputLine({ definition: name, mode, state }, `${name} (${mode}): ${state}`);
      }
    }),
};

export const backfillVerb: IntegratorVerb = {
  name: 'backfill',
  description:
    'make rows of a range of as-of dates fire that were put aside, or that were there before the first start; a dry run unless told otherwise',
  options: rangeOptions,
  run: (context, _args, options) =>
    withComposition(context, async (composition) => {
      const range = rangeOf(options);
      const dryRun = options['execute'] !== true;
      for (const { definition, source } of chosen(composition, options['definition'])) {
        const rows = await source.backfill(range, dryRun);
        for (const row of rows) {
          const result = { definition: definition.name, dryRun, ...row };
          context.outputLine(result, rowText(definition.name, dryRun ? 'would fire' : 'will fire', row));
        }
        context.logger.info({ definition: definition.name, ...range, rows: rows.length, dryRun }, 'backfill');
      }
    }),
};

export const replayVerb: IntegratorVerb = {
  name: 'replay',
  description:
    'publish events of a range of as-of dates once more, under their ids and with their frozen requests; a dry run unless told otherwise',
  options: rangeOptions,
  run: (context, _args, options) =>
    withComposition(context, async (composition) => {
      const range = rangeOf(options);
      const dryRun = options['execute'] !== true;
      const { logger } = context;
      for (const { definition, source, detect } of chosen(composition, options['definition'])) {
        const { store, publisher } = detect;
        for await (const row of source.published(range)) {
          if (context.lifecycle.stopTaking.aborted) return;
          if (row.eventId === null) continue;
          const deps = { definition: definition.name, store, publisher, clock: systemClock, logger };
          const outcome: ReplayOutcome | undefined = dryRun ? undefined : await replayEvent(deps, row.eventId);
          const done = outcome === undefined ? 'would publish' : outcome.outcome;
          context.outputLine(
            { definition: definition.name, dryRun, ...row, done },
            rowText(definition.name, done, row),
          );
        }
      }
    }),
};
