import fc from 'fast-check';
import { evaluateFormula, type FormulaContext } from './evaluate.ts';
import { FormulaSyntaxError } from './errors.ts';
import { parseFormula } from './parser.ts';

const now = Date.parse('2026-03-04T13:45:30Z') * 1000; // a Wednesday
const second = 1_000_000;
const context = (fields: Partial<FormulaContext> = {}): FormulaContext => ({
  now,
  period: 30 * second,
  samples: [4, 3, 2, 1].map((ago, index) => ({
    at: now - ago * 30 * second + second,
    metrics: { PendingTasks: index + 1, CPUPercent: 0.5 },
  })),
  targets: { dedicated: 2, lowPriority: 0, deallocation: 'requeue' },
  present: { CurrentDedicatedNodes: 3, CurrentLowPriorityNodes: 1 },
  random: () => 0.25,
  ...fields,
});
const valueOf = (expression: string, fields: Partial<FormulaContext> = {}): string => {
  const run = evaluateFormula(`x = ${expression}`, context(fields));
  if (run.error !== undefined) return `${run.error.code}: ${run.error.values[0]?.value ?? ''}`;
  return /(?:^|;)x=(.*)$/.exec(run.results)?.[1] ?? '';
};

describe('an autoscale formula', () => {
  it.each([
    ['1 + 2 * 3 - 4 / 2', '5'],
    ['-(1 - 3) * .5e1', '10'],
    ['1 - 2 - 3', '-4'],
    ['!0 + !5', '1'],
    ['1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3 && 1 == 1 && 1 != 2', '1'],
    ['0 || 0 && 1', '0'],
    ['0 ? 1 : 2 ? 3 : 4', '3'],
    ['1 || undefinedName', '1'],
    ['"a" < "b"', '1'],
    ['avg(1,2,3)', '2'],
    ['avg($PendingTasks.GetSample(4), 5)', '3'],
    ['len($PendingTasks.GetSample(3), 1)', '4'],
    ['max(1, $PendingTasks.GetSample(2))', '4'],
    ['min(9)', '9'],
    ['range(4, 9, 6)', '5'],
    ['std(2, 4, 4, 4, 5, 5, 7, 9)', String(Math.sqrt(32 / 7))],
    ['sum()', '0'],
    ['norm(3, 4)', '5'],
    ['lg(8) + log(1000) + ln(1)', '6'],
    ['lg($PendingTasks.GetSample(2) * 0 + 8)', '[3,3]'],
    ['floor(1.7) + ceil(1.2) + round(2.5) + exp(0)', '7'],
    ['val($PendingTasks.GetSample(4), 1)', '2'],
    ['percentile($PendingTasks.GetSample(4), 50)', '2'],
    ['rand()', '0.25'],
    ['$PendingTasks.GetSample(4) - $PendingTasks.GetSample(4)', '[0,0,0,0]'],
    ['$PendingTasks.GetSample(2 * TimeInterval_Minute)', '[1,2,3,4]'],
    ['$PendingTasks.GetSample(30 * TimeInterval_Second, TimeInterval_Minute)', '[3]'],
    ['$PendingTasks.GetSample(TimeInterval_Minute, 100)', '[3,4]'],
    ['$PendingTasks.GetSample(time() + -TimeInterval_Minute, time())', '[3,4]'],
    ['$PendingTasks.GetSamplePercent(4 * TimeInterval_Minute)', '50'],
    ['$PendingTasks.GetSamplePeriod() == 30 * TimeInterval_Second', '1'],
    ['$PendingTasks.Count()', '4'],
    ['$PendingTasks.HistoryBeginTime() < time()', '1'],
    ['$CurrentDedicatedNodes * 1.5', '4.5'],
    ['time().year * 10000 + time().month * 100 + time().day', '20260304'],
    ['time().weekday * 10000 + time().hour * 100 + time().minute', '31345'],
    ['time("2026-03-04T00:00:00Z") + TimeInterval_Hour', '2026-03-04T01:00:00.000Z'],
    ['time("Wed, 04 Mar 2026 00:00:00 GMT") - time("2026-03-03")', '1.00:00:00'],
    ['(TimeInterval_Day / 2 + TimeInterval_Minute) * 1', '12:01:00'],
    ['taskcompletion', 'taskcompletion'],
    ['1 // one\n /* and\n two */ + 1', '2'],
  ])('%s is %s', (expression, value) => {
    expect(valueOf(expression)).toBe(value);
  });

  it.each([
    ['nothing', 'AutoScalingFormulaEvaluationError: Line 1, Col 5: The variable nothing is not defined'],
    [
      'time() - TimeInterval_Day',
      'AutoScalingFormulaEvaluationError: Line 1, Col 12: Operator - does not take timestamp and timeinterval',
    ],
    ['1 + "a"', 'AutoScalingFormulaEvaluationError: Line 1, Col 7: Operator + does not take double and string'],
    ['avg()', 'AutoScalingFormulaEvaluationError: Line 1, Col 5: Function avg has no value for an empty list'],
    ['constructor(1)', 'AutoScalingFormulaEvaluationError: Line 1, Col 5: There is no function constructor'],
    ['time().toString', 'AutoScalingFormulaEvaluationError: Line 1, Col 12: A timestamp has no member toString'],
    [
      '$PendingTasks + 1',
      'AutoScalingFormulaEvaluationError: Line 1, Col 5: $PendingTasks has samples: use $PendingTasks.GetSample(...)',
    ],
    [
      'val($PendingTasks.GetSample(1), 3)',
      'AutoScalingFormulaEvaluationError: Line 1, Col 5: Index 3 is outside the vector of 1',
    ],
    [
      '\n $PendingTasks.GetSample(8)',
      'InsufficientSampleData: Line 2, Col 2: Insufficient data from data set: $PendingTasks wanted 100%, received 50%',
    ],
    [
      '$PendingTasks.GetSample(TimeInterval_Minute * 4, 70)',
      'InsufficientSampleData: Line 1, Col 5: Insufficient data from data set: $PendingTasks wanted 70%, received 50%',
    ],
    ['1 +', 'AutoScalingFormulaSyntaxError: Line 1, Col 8: Expected a value, found the end of the formula'],
    ['1 @ 2', "AutoScalingFormulaSyntaxError: Line 1, Col 7: Unexpected character '@'"],
    ['f(1', "AutoScalingFormulaSyntaxError: Line 1, Col 8: Expected ',', found the end of the formula"],
  ])('%s is refused', (expression, message) => {
    expect(valueOf(expression)).toBe(message);
  });

  it('sets targets whole, by name or alias, and shows its own variables by name', () => {
    const run = evaluateFormula(
      'b = 2; a = 1.5; $TargetDedicated = 9; $TargetDedicatedNodes = a + b; $TargetLowPriority = -3; $NodeDeallocationOption = taskcompletion;',
      context(),
    );
    expect(run).toEqual({
      targets: { dedicated: 3, lowPriority: 0, deallocation: 'taskcompletion' },
      results: '$TargetDedicatedNodes=3;$TargetLowPriorityNodes=0;$NodeDeallocationOption=taskcompletion;a=1.5;b=2',
    });
  });

  it('leaves the pool as it is when it fails, and ends early by stop()', () => {
    const failed = evaluateFormula('$TargetDedicatedNodes = 7; $something_useless', context());
    expect(failed.error?.code).toBe('AutoScalingFormulaEvaluationError');
    expect(failed.results).toBe('$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue');
    expect(failed.targets.dedicated).toBe(2);
    expect(
      evaluateFormula('$TargetDedicatedNodes = 7; stop(); $TargetDedicatedNodes = 8', context()).targets.dedicated,
    ).toBe(7);
    for (const wrong of [
      '$TargetDedicatedNodes = 1/0',
      '$CPUPercent = 1',
      '$NodeDeallocationOption = "x"',
      '$TargetDedicatedNodes = time()',
    ]) {
      expect([wrong, evaluateFormula(wrong, context()).error?.code]).toEqual([
        wrong,
        'AutoScalingFormulaEvaluationError',
      ]);
    }
  });

  it('reads the documented samples', () => {
    const pending = `startingNumberOfVMs = 1; maxNumberofVMs = 25;
      pendingTaskSamplePercent = $PendingTasks.GetSamplePercent(180 * TimeInterval_Second);
      pendingTaskSamples = pendingTaskSamplePercent < 70 ? startingNumberOfVMs : avg($PendingTasks.GetSample(180 * TimeInterval_Second));
      $TargetDedicatedNodes=min(maxNumberofVMs, pendingTaskSamples); $NodeDeallocationOption = taskcompletion;`;
    expect(evaluateFormula(pending, context()).targets).toEqual({
      dedicated: 1,
      lowPriority: 0,
      deallocation: 'taskcompletion',
    });
    expect(evaluateFormula(pending, context({ period: 45 * second })).targets.dedicated).toBe(2);
    const week = `$curTime = time(); $workHours = $curTime.hour >= 8 && $curTime.hour < 18;
      $isWeekday = $curTime.weekday >= 1 && $curTime.weekday <= 5; $isWorkingWeekdayHour = $workHours && $isWeekday;
      $TargetDedicatedNodes = $isWorkingWeekdayHour ? 20:10;`;
    expect(evaluateFormula(week, context()).targets.dedicated).toBe(20);
  });

  it('is bounded in length, statements and depth', () => {
    for (const formula of [
      '1;'.repeat(101),
      `x=${'('.repeat(4000)}1`,
      `x=${'-'.repeat(4000)}1`,
      `x=${' '.repeat(8192)}1`,
    ]) {
      expect(() => parseFormula(formula)).toThrow(FormulaSyntaxError);
    }
    expect(valueOf(`1${'+1'.repeat(2000)}`)).toBe('2001');
  });

  it('never throws, and never sets what is no number of nodes', () => {
    const word = fc.constantFrom('$PendingTasks', '.GetSample', '(', ')', '1', '70', ',', ';', '=', '$TargetDedicatedNodes', 'avg', '?', ':', '+', '-', '*', '/', '!', '"a"', 'TimeInterval_Minute', 'time()', 'stop()', 'x', '&&', '<', ' '); // prettier-ignore
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
        ),
        (formula) => {
          const { targets } = evaluateFormula(formula, context());
          expect(Number.isInteger(targets.dedicated) && targets.dedicated >= 0).toBe(true);
        },
      ),
      { numRuns: 3000 },
    );
  });
});
