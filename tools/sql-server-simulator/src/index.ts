export { DataInUseError, startSqlServerSimulator, type SimulatorOptions, type SqlServerSimulator } from './start.ts';
export { outsideSubsetNumber } from './types/sql-error.ts';
