import type { Logger } from '@xva/runtime';
import { readConsistency } from '../checks.ts';
import type { IsoDate } from '../calendar/dates.ts';
import { SqlError } from '../client/errors.ts';
import type { SqlRunner } from '../client/statement.ts';
import type { WatchDefinition } from '../definition/schema.ts';
import type { ReadConsistency } from '../statements/details.ts';
import { sha256, type ChangeReader } from './change.ts';
import { changeTrackingReader } from './change-tracking-reader.ts';
import { Lead } from './lead.ts';
import { queryReader } from './query-reader.ts';
import { rowversionReader } from './rowversion-reader.ts';
import type { WatchCrashPoint } from './inspection.ts';
import { WatchSource } from './source.ts';
import type { DetectionStore } from './state.ts';

export interface OpenWatchOptions {
  readonly runner: SqlRunner;
  readonly definition: WatchDefinition;
  readonly store: DetectionStore;
  /** One name per process and start. */
  readonly name: string;
  readonly now: () => Date;
  /** The date that a condition's `@today` stands for: that of the tick which is being worked off. */
  readonly today: () => IsoDate;
  /** Milliseconds that only go forward. */
  readonly monotonicMs: () => number;
  readonly logger: Logger;
  readonly onGap?: (reason: string) => void;
  readonly crashPoint?: (point: WatchCrashPoint) => void;
}

/**
 * What the cursor's position is a position in. The mapping is left out where the position does not depend on it: a new
 * constant must not make everything be read again.
 */
export function fingerprintOf(definition: WatchDefinition): string {
  switch (definition.mode) {
    case 'rowversion':
      return `rowversion ${definition.table} ${definition.rowVersion}`;
    case 'changeTracking':
      return `changeTracking ${definition.table} ${definition.key}`;
    case 'query':
      return `query ${sha256(JSON.stringify([definition.sql, definition.mapping])).slice(0, 16)}`;
  }
}

/** A definition that only reads, ready to be polled. Connects to nothing until it is used. */
export function openWatch(options: OpenWatchOptions): WatchSource {
  const { definition, store, now, monotonicMs, logger } = options;
  let known: ReadConsistency | undefined;
  const runner: SqlRunner = {
    query: async (statement, values, more) => {
      try {
        return await options.runner.query(statement, values, more);
      } catch (error) {
        // 3952: snapshot isolation was switched off since; ask the database again next time.
        if (error instanceof SqlError && error.number === 3952) known = undefined;
        throw error;
      }
    },
  };
  const consistency = async (): Promise<ReadConsistency> => {
    if (known === undefined) {
      known = await readConsistency(runner);
      logger.info({ definition: definition.name, consistency: known }, 'how details are read');
    }
    return known;
  };
  const readerOf = (): ChangeReader => {
    switch (definition.mode) {
      case 'rowversion':
        return rowversionReader(runner, definition, consistency);
      case 'changeTracking':
        return changeTrackingReader(runner, definition);
      case 'query':
        return queryReader(runner, definition, consistency, options.today);
    }
  };
  const leaseMs = definition.leaseSeconds * 1000;
  return new WatchSource({
    runner,
    definition,
    reader: readerOf(),
    store,
    lead: new Lead({ store, definition: definition.name, name: options.name, leaseMs, monotonicMs }),
    fingerprint: fingerprintOf(definition),
    consistency,
    now,
    monotonicMs,
    onGap: (reason) => {
      logger.error(
        { definition: definition.name, reason, event: 'detection-gap' },
        'changes may have been missed: everything is read again',
      );
      options.onGap?.(reason);
    },
    crashPoint: options.crashPoint,
  });
}
