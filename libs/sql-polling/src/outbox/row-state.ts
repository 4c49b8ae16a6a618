import type { Cell } from '../client/statement.ts';
import type { OutboxDefinition } from '../definition/schema.ts';
import { rowStatus } from '../statements/claim.ts';
import { cellText, integerText } from '../values.ts';
import { isRowFault, sourceRow, type SourceRow } from './rows.ts';

/** What the claim would make of a row now. */
export interface RowState {
  readonly requestId: string;
  readonly state:
    | 'due'
    | 'waits'
    | 'leased'
    | 'lease-expired'
    | 'attempts-used-up'
    | 'poison'
    | 'unknown-status'
    | 'unreadable'
    | 'known';
  readonly detail: string;
  /** Absent when its fields cannot be read. */
  readonly row?: SourceRow;
  /** What the event's id is derived from, where it is not the row's revision. */
  readonly version?: string;
}

/** The row's fields, or why nobody can read them. */
export function readable(definition: OutboxDefinition, row: Readonly<Record<string, Cell>>): SourceRow | string {
  try {
    return sourceRow(definition, row);
  } catch (error) {
    if (isRowFault(error)) return error.message;
    throw error;
  }
}

/** What explain says of a row. */
export function rowState(definition: OutboxDefinition, row: Readonly<Record<string, Cell>>): RowState {
  const text = (name: string): string => cellText(name, row[name]) ?? '';
  const attempts = Number(row['attempts']);
  const verdict = (): [RowState['state'], string] => {
    switch (Number(row['status'])) {
      case rowStatus.new:
        if (Number(row['waits']) === 1)
          return ['waits', `not before ${text('notBefore')}Z; last error: ${text('lastError')}`];
        return attempts >= definition.maxAttempts
          ? ['attempts-used-up', `${attempts} attempts: the next claim puts it aside`]
          : ['due', `attempt ${attempts + 1} of ${definition.maxAttempts}`];
      case rowStatus.claimed:
        if (Number(row['leased']) === 1) return ['leased', `by ${text('leaseOwner')} until ${text('lockedUntil')}Z`];
        return attempts >= definition.maxAttempts
          ? ['attempts-used-up', `${attempts} attempts: the next claim puts it aside`]
          : ['lease-expired', `held by ${text('leaseOwner')}; attempt ${attempts + 1} of ${definition.maxAttempts}`];
      case rowStatus.poison:
        return ['poison', text('lastError')];
      default:
        return ['unknown-status', `status ${text('status')} is none of the integrator's`];
    }
  };
  const [state, detail] = verdict();
  const requestId = integerText(definition.columns.id, row['requestId']);
  const fields = readable(definition, row);
  // Nobody can say which event it would be.
  if (typeof fields === 'string')
    return {
      requestId,
      state: state === 'poison' ? state : 'unreadable',
      detail: state === 'poison' ? detail : fields,
    };
  return { requestId, state, detail, row: fields };
}
