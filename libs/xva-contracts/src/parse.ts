import type { z } from 'zod';

export interface ContractIssue {
  /** Path such as `trades[3].terms`. */
  readonly path: string;
  readonly message: string;
}

/** Thrown when something that crossed a process does not fit its schema; holds every fault. */
export class ContractError extends Error {
  override readonly name = 'ContractError';
  readonly what: string;
  readonly issues: readonly ContractIssue[];

  constructor(what: string, issues: readonly ContractIssue[]) {
    const shown = issues.slice(0, 20).map((issue) => `${issue.path}: ${issue.message}`);
    const more = issues.length > 20 ? ` … and ${issues.length - 20} more` : '';
    super(`${what} is not valid: ${shown.join('; ')}${more}`);
    this.what = what;
    this.issues = issues;
  }
}

function formatPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path)
    text += typeof step === 'number' ? `[${step}]` : text === '' ? String(step) : `.${String(step)}`;
  return text === '' ? '$' : text;
}

type Issue = z.core.$ZodIssue;

/**
 * The faults of a value that fits none of several forms are those of the form that it was meant for: one without unknown
 * members if there is any, of these the one with the fewest faults, of these the first.
 */
function flatten(issue: Issue): readonly Issue[] {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
  const isStranger = (fault: Issue): boolean => fault.code === 'unrecognized_keys' && fault.path.length === 0;
  const [meant] = [...issue.errors].sort(
    (a, b) => Number(a.some(isStranger)) - Number(b.some(isStranger)) || a.length - b.length,
  );
  return (meant ?? []).flatMap((fault) => flatten({ ...fault, path: [...issue.path, ...fault.path] }));
}

/**
 * Checks a value against its schema.
 *
 * @throws ContractError naming every fault by path.
 */
export function parseContract<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ContractError(
    what,
    result.error.issues.flatMap(flatten).map((issue) => ({ path: formatPath(issue.path), message: issue.message })),
  );
}

/**
 * Reads JSON text and checks it.
 *
 * @throws ContractError also for text that is not JSON.
 */
export function parseContractText<S extends z.ZodType>(schema: S, text: string, what: string): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ContractError(what, [{ path: '$', message: `is not JSON: ${(error as Error).message}` }]);
  }
  return parseContract(schema, value, what);
}
