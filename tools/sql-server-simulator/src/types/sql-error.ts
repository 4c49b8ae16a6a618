/** A server error as it goes over the wire: number, class (severity), state, line of the batch, 1-based. */
export class SqlError extends Error {
  readonly number: number;
  readonly severity: number;
  readonly state: number;
  line: number;

  constructor(number: number, message: string, severity = 16, state = 1, line = 0) {
    super(message);
    this.name = 'SqlError';
    this.number = number;
    this.severity = severity;
    this.state = state;
    this.line = line;
  }
}

/** Number of the error by which the simulator refuses what it does not do; user-defined range, so no real error has it. */
export const outsideSubsetNumber = 50_999;

/** Refuses a construct by name: the simulator never guesses what a statement outside its subset would do. */
export function outsideSubset(construct: string, line = 0): SqlError {
  const where = line > 0 ? ` (line ${line})` : '';
  return new SqlError(outsideSubsetNumber, `not in the simulator's subset: ${construct}${where}`, 16, 1, line);
}

/** Errors that end the whole batch, and not only the statement that raised them (SQL Server's behaviour with XACT_ABORT OFF). */
const batchEnding = new Set([
  102, 105, 137, 156, 207, 208, 209, 241, 242, 244, 245, 248, 1087, 1205, 3952, 3960, 4104, 4145, 8114, 8120, 8169,
]);

/** @returns whether the error ends the batch whatever XACT_ABORT says */
export function endsBatch(error: SqlError): boolean {
  return batchEnding.has(error.number) || error.number === outsideSubsetNumber || error.severity >= 20;
}
