import { FormulaSyntaxError } from '../autoscale/errors.ts';
import { parseFormula } from '../autoscale/parser.ts';
import { refusal } from '../wire/errors.ts';

/** @throws BatchError AutoScalingFormulaSyntaxError */
export function checkFormula(formula: string): void {
  try {
    parseFormula(formula);
  } catch (error) {
    if (!(error instanceof FormulaSyntaxError)) throw error;
    throw refusal('AutoScalingFormulaSyntaxError', { Message: error.message });
  }
}

/** Time between two evaluations when a pool names none, in microseconds. */
export const defaultInterval = 15 * 60 * 1_000_000;
