import { FormulaEvaluationError, FormulaSyntaxError, InsufficientSamplesError, type Place } from './errors.ts';
import { callFunction, StopEvaluation } from './functions.ts';
import { parseFormula, type Expression, type Statement } from './parser.ts';
import { callMethod, metricNames, presentMetrics, type History } from './samples.ts';
import { constants, double, memberOf, operate, show, type Value } from './values.ts';

export interface ScalingTargets {
  readonly dedicated: number;
  readonly lowPriority: number;
  /** What happens to the tasks of nodes that go: requeue, terminate, taskcompletion, retaineddata. */
  readonly deallocation: string;
}

export interface FormulaContext extends History {
  readonly targets: ScalingTargets;
  /** Present value of a metric. */
  readonly present: Readonly<Record<string, number>>;
  readonly random: () => number;
}

export interface FormulaError {
  readonly code: string;
  readonly message: string;
  readonly values: readonly { readonly name: string; readonly value: string }[];
}

export interface FormulaRun {
  readonly targets: ScalingTargets;
  /** `$TargetDedicatedNodes=1;…`, the three of the service first, then the formula's own by name. */
  readonly results: string;
  readonly error?: FormulaError;
}

const aliases: Readonly<Record<string, string>> = {
  $TargetDedicated: '$TargetDedicatedNodes',
  $TargetLowPriority: '$TargetLowPriorityNodes',
};
const service = ['$TargetDedicatedNodes', '$TargetLowPriorityNodes', '$NodeDeallocationOption'];
const options = ['requeue', 'terminate', 'taskcompletion', 'retaineddata'];
const maxTarget = 1_000_000;

/** A number of nodes: fractions are cut off, less than none is none. @throws FormulaEvaluationError */
function nodesOf(place: Place, name: string, value: Value): Value {
  if (value.kind !== 'double' || !Number.isFinite(value.value)) {
    const found = value.kind === 'double' ? String(value.value) : `a ${value.kind}`;
    throw new FormulaEvaluationError(place, `${name} must be a finite double, found ${found}`);
  }
  return double(Math.min(maxTarget, Math.max(0, Math.trunc(value.value))));
}

class Evaluation {
  readonly #context: FormulaContext;
  readonly #variables: Map<string, Value>;

  constructor(context: FormulaContext) {
    this.#context = context;
    const { dedicated, lowPriority, deallocation } = context.targets;
    this.#variables = new Map<string, Value>([
      ['$TargetDedicatedNodes', double(dedicated)],
      ['$TargetLowPriorityNodes', double(lowPriority)],
      ['$NodeDeallocationOption', { kind: 'string', value: deallocation }],
    ]);
  }

  run(statements: readonly Statement[]): void {
    const direct = new Set(statements.map(({ target }) => target));
    for (const { target, value, line, column } of statements) {
      const result = this.#value(value);
      if (target === undefined) continue;
      const named = Object.hasOwn(aliases, target) ? (aliases[target] ?? target) : target;
      // Where a formula sets a variable and its alias, the variable counts.
      if (named !== target && direct.has(named)) continue;
      this.#assign({ line, column }, named, result);
    }
  }

  #assign(place: Place, name: string, value: Value): void {
    if (name.startsWith('$') && (metricNames as readonly string[]).includes(name.slice(1))) {
      throw new FormulaEvaluationError(place, `${name} is read-only`);
    }
    if (Object.hasOwn(constants, name)) throw new FormulaEvaluationError(place, `${name} is a constant`);
    if (name === '$NodeDeallocationOption') {
      if (value.kind !== 'string' || !options.includes(value.value)) {
        throw new FormulaEvaluationError(place, `${name} must be one of ${options.join(', ')}`);
      }
      this.#variables.set(name, value);
    } else if (name === '$TargetDedicatedNodes' || name === '$TargetLowPriorityNodes') {
      this.#variables.set(name, nodesOf(place, name, value));
    } else {
      this.#variables.set(name, this.#plain(place, value));
    }
  }

  /** A metric where a value is wanted stands for its present value, if it is a count of nodes. */
  #plain(place: Place, value: Value): Value {
    if (value.kind !== 'metric') return value;
    if (presentMetrics.has(value.name)) return double(this.#context.present[value.name] ?? 0);
    throw new FormulaEvaluationError(place, `$${value.name} has samples: use $${value.name}.GetSample(...)`);
  }

  #value(expression: Expression): Value {
    return this.#plain(expression, this.#evaluate(expression));
  }

  #truth(expression: Expression): boolean {
    const value = this.#value(expression);
    if (value.kind === 'double') return value.value !== 0;
    throw new FormulaEvaluationError(expression, `Expected a double, found a ${value.kind}`);
  }

  #evaluate(expression: Expression): Value {
    const { kind } = expression;
    if (kind === 'number') return double(expression.value);
    if (kind === 'text') return { kind: 'string', value: expression.value };
    if (kind === 'name') return this.#named(expression, expression.name);
    if (kind === 'choice') return this.#value(this.#truth(expression.test) ? expression.yes : expression.no);
    if (kind === 'member') return memberOf(expression, this.#value(expression.object), expression.name);
    if (kind === 'call') {
      const args = expression.args.map((arg) => this.#value(arg));
      return callFunction(expression, expression.name, args, this.#context);
    }
    if (kind === 'method') {
      const object = this.#evaluate(expression.object);
      if (object.kind !== 'metric') throw new FormulaEvaluationError(expression, `A ${object.kind} has no methods`);
      const args = expression.args.map((arg) => this.#value(arg));
      return callMethod(expression, object.name, expression.name, args, this.#context);
    }
    if (kind === 'unary') return this.#unary(expression, expression.operator, this.#value(expression.operand));
    return this.#binary(expression, expression.operator, expression.left, expression.right);
  }

  #unary(place: Place, operator: '-' | '!', value: Value): Value {
    if (value.kind === 'double') return double(operator === '-' ? -value.value : Number(value.value === 0));
    if (value.kind === 'timeinterval' && operator === '-') return { kind: 'timeinterval', length: -value.length };
    throw new FormulaEvaluationError(place, `Operator ${operator} does not take a ${value.kind}`);
  }

  #binary(place: Place, operator: string, left: Expression, right: Expression): Value {
    if (operator === '&&') return double(Number(this.#truth(left) && this.#truth(right)));
    if (operator === '||') return double(Number(this.#truth(left) || this.#truth(right)));
    return operate(place, operator, this.#value(left), this.#value(right));
  }

  #named(place: Place, given: string): Value {
    const name = Object.hasOwn(aliases, given) ? (aliases[given] ?? given) : given;
    const variable = this.#variables.get(name);
    if (variable !== undefined) return variable;
    if (Object.hasOwn(constants, name)) return constants[name] as Value;
    if (name.startsWith('$') && (metricNames as readonly string[]).includes(name.slice(1))) {
      return { kind: 'metric', name: name.slice(1) };
    }
    throw new FormulaEvaluationError(place, `The variable ${given} is not defined`);
  }

  targets(): ScalingTargets {
    const number = (name: string): number => (this.#variables.get(name) as { value: number }).value;
    return {
      dedicated: number('$TargetDedicatedNodes'),
      lowPriority: number('$TargetLowPriorityNodes'),
      deallocation: (this.#variables.get('$NodeDeallocationOption') as { value: string }).value,
    };
  }

  results(): string {
    const own = [...this.#variables.keys()].filter((name) => !service.includes(name)).sort();
    const shown = [...service, ...own].map((name) => `${name}=${show(this.#variables.get(name) as Value)}`);
    return shown.join(';');
  }
}

function errorOf(error: unknown): FormulaError {
  const value = (error as Error).message;
  const named = (code: string, message: string): FormulaError => ({
    code,
    message,
    values: [{ name: 'Message', value }],
  });
  if (error instanceof InsufficientSamplesError) {
    return named('InsufficientSampleData', 'Autoscale evaluation failed due to insufficient sample data');
  }
  if (error instanceof FormulaSyntaxError) {
    return named('AutoScalingFormulaSyntaxError', 'The specified autoscale formula has a syntax error');
  }
  if (error instanceof FormulaEvaluationError) {
    return named('AutoScalingFormulaEvaluationError', 'Autoscale formula evaluation failed');
  }
  throw error;
}

/**
 * Evaluates an autoscale formula. Pure. A formula that fails leaves the targets as they are and says why in `error`.
 */
export function evaluateFormula(formula: string, context: FormulaContext): FormulaRun {
  const evaluation = new Evaluation(context);
  try {
    evaluation.run(parseFormula(formula));
  } catch (error) {
    if (!(error instanceof StopEvaluation)) {
      const untouched = new Evaluation(context);
      return { targets: context.targets, results: untouched.results(), error: errorOf(error) };
    }
  }
  return { targets: evaluation.targets(), results: evaluation.results() };
}
