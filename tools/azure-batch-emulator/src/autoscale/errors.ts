/** Where in a formula, both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

const where = ({ line, column }: Place, message: string): string => `Line ${line}, Col ${column}: ${message}`;

/** Thrown when a formula cannot be read. */
export class FormulaSyntaxError extends Error {
  override readonly name = 'FormulaSyntaxError';
  constructor(place: Place, message: string) {
    super(where(place, message));
  }
}

/** Thrown when a formula that was read cannot be evaluated: unknown names, wrong types, impossible values. */
export class FormulaEvaluationError extends Error {
  override readonly name = 'FormulaEvaluationError';
  constructor(place: Place, message: string) {
    super(where(place, message));
  }
}

/** Thrown when a metric has fewer samples than the formula asks for: the pool then stays as it is. */
export class InsufficientSamplesError extends Error {
  override readonly name = 'InsufficientSamplesError';
  constructor(place: Place, metric: string, wanted: number, received: number) {
    super(where(place, `Insufficient data from data set: $${metric} wanted ${wanted}%, received ${received}%`));
  }
}
