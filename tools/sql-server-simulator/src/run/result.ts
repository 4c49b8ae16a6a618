import type { Value } from '../types/sql-type.ts';
import type { ColumnInfo } from './scope.ts';

/** What one statement gives back: rows (SELECT, OUTPUT) or a count, or neither. */
export interface StatementResult {
  readonly kind: 'select' | 'insert' | 'update' | 'delete' | 'merge' | 'other';
  readonly columns?: readonly ColumnInfo[];
  readonly rows?: readonly (readonly Value[])[];
  /** Rows affected or returned; undefined for statements that count nothing. */
  readonly count?: number;
}
