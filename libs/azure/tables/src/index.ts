export { TableError } from './errors.ts';
export { RunTable, type RunFilter, type RunTableOptions, type StoredRun } from './run-table.ts';
export {
  filterText,
  TableStore,
  type InsertOutcome,
  type QueryOptions,
  type ReplaceOutcome,
  type StoredRow,
  type TableRow,
  type TableStoreOptions,
} from './table-store.ts';
export { CostModelTable, UsageTable, type UsageEntry } from './usage-table.ts';
