import { setTracking } from './track.ts';
import { buildTable } from './table-builder.ts';
import type { Statement, StatementOf } from '../sql/ast.ts';
import type { ParameterDeclaration, ParseCache } from '../sql/parser.ts';
import { parseParameters } from '../sql/parser.ts';
import { converter, storing } from '../types/convert.ts';
import { endsBatch, outsideSubset, SqlError } from '../types/sql-error.ts';
import { family, nvarchar, type SqlType, types, type Value, valueText } from '../types/sql-type.ts';
import { runDataStatement } from './data-statement.ts';
import { pause } from './pause.ts';
import { applyOption } from './settings.ts';
import { arithmetic } from './arithmetic.ts';
import { emptyEnv, type Variable } from './context.ts';
import { compileExpression, compilePredicate } from './expression.ts';
import type { StatementResult } from './result.ts';
import { Scope } from './scope.ts';
import { type Frame, newFrame, type Session } from './session.ts';

/** Where a batch's answers go; results may wait for the client to read. */
export interface Responder {
  result(result: StatementResult): Promise<void>;
  info(message: string, number: number, severity: number, state: number, line: number): void;
  error(error: SqlError): void;
  /** The batch changed the database (USE). */
  databaseChanged(name: string): void;
}

/** Called around every statement that reads or writes: the place where faults are injected. */
export interface StatementHook {
  before(statement: Statement, signal: AbortSignal): Promise<void>;
  after(statement: Statement): void;
}

type Outcome = 'next' | 'break' | 'continue' | 'return' | 'abort';

const conversionErrors = new Set([241, 242, 244, 245, 248, 8114, 8169]);

/** Runs the statements of one batch in order, with T-SQL's rules for what an error ends. */
export class BatchRunner {
  readonly #session: Session;
  readonly #responder: Responder;
  readonly #signal: AbortSignal;
  readonly #cache: ParseCache;
  readonly #hook: StatementHook;
  /** Depth of TRY blocks: inside one, errors go to its CATCH. */
  #tries = 0;
  #steps = 0;
  returnValue = 0;

  constructor(session: Session, responder: Responder, signal: AbortSignal, cache: ParseCache, hook: StatementHook) {
    this.#session = session;
    this.#responder = responder;
    this.#signal = signal;
    this.#cache = cache;
    this.#hook = hook;
  }

  /** The parameter list of a call. @throws SqlError for one that is none */
  parameters(declarations: string): readonly ParameterDeclaration[] {
    return this.#cache.parameters(declarations);
  }

  /** Parses and runs a batch; errors go to the responder. @returns false when an error ended it */
  async run(text: string, frame: Frame): Promise<boolean> {
    let statements: readonly Statement[];
    try {
      statements = this.#cache.parse(text);
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      this.#fail(error, 1);
      return false;
    }
    return (await this.#all(statements, frame)) !== 'abort';
  }

  async #all(statements: readonly Statement[], frame: Frame): Promise<Outcome> {
    for (const statement of statements) {
      const outcome = await this.#one(statement, frame);
      if (outcome !== 'next') return outcome;
    }
    return 'next';
  }

  async #one(statement: Statement, frame: Frame): Promise<Outcome> {
    this.#steps += 1;
    // A loop without waits must still let other sessions, and an attention, in.
    if (this.#steps % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
    this.#signal.throwIfAborted();
    try {
      return await this.#execute(statement, frame);
    } catch (error) {
      const sqlError = asSqlError(error);
      if (sqlError.line === 0) sqlError.line = statement.line;
      return this.#handle(sqlError, statement);
    }
  }

  /** Applies an error's consequences; inside TRY it travels on to the CATCH. */
  #handle(error: SqlError, statement: Statement): Outcome {
    const session = this.#session;
    session.lastError = error.number;
    session.rowCount = 0;
    const aborts = endsBatch(error) || statement.kind === 'throw';
    const rollsBack = error.number === 1205 || error.number === 3960;
    if (rollsBack) session.rollbackIfOpen();
    const dooms = conversionErrors.has(error.number) || (session.xactAbort && statement.kind !== 'raiserror');
    if (this.#tries > 0 && error.severity < 20) {
      if (dooms && session.transaction !== undefined) session.transaction.doomed = true;
      throw error;
    }
    if (dooms) session.rollbackIfOpen();
    this.#responder.error(error);
    return aborts || (session.xactAbort && statement.kind !== 'raiserror') ? 'abort' : 'next';
  }

  #fail(error: SqlError, line: number): void {
    if (error.line === 0) error.line = line;
    this.#session.lastError = error.number;
    if (this.#tries > 0) throw error;
    this.#responder.error(error);
  }

  async #execute(statement: Statement, frame: Frame): Promise<Outcome> {
    switch (statement.kind) {
      case 'if':
        if (await this.#condition(statement.condition, frame)) return this.#one(statement.then, frame);
        return statement.otherwise === undefined ? 'next' : this.#one(statement.otherwise, frame);
      case 'while':
        return this.#loop(statement, frame);
      case 'block':
        return this.#all(statement.statements, frame);
      case 'try':
        return this.#try(statement, frame);
      case 'break':
        return 'break';
      case 'continue':
        return 'continue';
      case 'return':
        this.returnValue =
          statement.value === undefined ? 0 : Number((await this.#value(statement.value, types.int, frame)) ?? 0);
        return 'return';
      case 'execute':
      case 'executeText':
        return this.#dynamic(statement, frame);
      default:
        await this.#simple(statement, frame);
        return 'next';
    }
  }

  async #simple(statement: Statement, frame: Frame): Promise<void> {
    const session = this.#session;
    switch (statement.kind) {
      case 'declare':
        for (const { name, type, value } of statement.variables) await this.#declare(name, type, value, frame);
        return;
      case 'declareTable':
        await session.atomically(frame, this.#signal, (context) => {
          if (frame.tableVariables.has(statement.name.toLowerCase()))
            throw new SqlError(
              134,
              `The variable name '${statement.name}' has already been declared. Variable names must be unique within a query batch or stored procedure.`,
              15,
              2,
            );
          frame.tableVariables.set(
            statement.name.toLowerCase(),
            buildTable(-1, 'dbo', statement.name, statement.columns, statement.constraints, false, context),
          );
        });
        return;
      case 'setVariable':
        await this.#setVariable(statement, frame);
        return;
      case 'setOption':
        applyOption(statement, session, frame);
        return;
      case 'print': {
        const text = await this.#value(statement.value, nvarchar(4000), frame);
        this.#responder.info(valueText(text, ' '), 0, 0, 1, statement.line);
        return;
      }
      case 'throw':
        return this.#throw(statement, frame);
      case 'raiserror':
        return this.#raise(statement, frame);
      case 'waitfor':
        return this.#delay(statement, frame);
      case 'use': {
        const database = session.databases.get(statement.database.toLowerCase());
        if (database === undefined)
          throw new SqlError(
            911,
            `Database '${statement.database}' does not exist. Make sure that the name is entered correctly.`,
          );
        if (session.transaction !== undefined && database !== session.database)
          throw outsideSubset('USE inside a transaction', statement.line);
        session.database = database;
        this.#responder.databaseChanged(database.name);
        return;
      }
      case 'begin':
      case 'commit':
      case 'rollback':
      case 'save':
        await this.#hook.before(statement, this.#signal);
        this.transact(statement);
        this.#hook.after(statement);
        return;
      case 'insertBulk':
        this.#session.bulk = statement;
        return;
      case 'trackDatabase':
      case 'trackTable':
        await this.#track(statement, frame);
        return;
      case 'alterDatabase':
        await this.#alterDatabase(statement, frame);
        return;
      default:
        await this.#data(statement, frame);
    }
  }

  transact(statement: StatementOf<'begin' | 'commit' | 'rollback' | 'save'>): void {
    const session = this.#session;
    session.rowCount = 0;
    switch (statement.kind) {
      case 'begin':
        session.begin();
        session.nameTransaction(statement.name);
        return;
      case 'commit':
        session.commit();
        return;
      case 'rollback':
        session.rollback(statement.name);
        return;
      case 'save':
        session.save(statement.name ?? '');
    }
  }

  /** Statements that read or write tables. */
  async #data(statement: Statement, frame: Frame): Promise<void> {
    const session = this.#session;
    if (session.transaction?.doomed === true && statement.kind !== 'query') {
      throw new SqlError(
        3930,
        'The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.',
      );
    }
    await this.#hook.before(statement, this.#signal);
    const result = await session.atomically(frame, this.#signal, (context) =>
      runDataStatement(statement, session, context),
    );
    session.lastError = 0;
    session.rowCount = result.count ?? 0;
    this.#hook.after(statement);
    await this.#responder.result(result);
  }

  async #condition(condition: Parameters<typeof compilePredicate>[0], frame: Frame): Promise<boolean> {
    return this.#session.atomically(
      frame,
      this.#signal,
      (context) => compilePredicate(condition, new Scope(context))(emptyEnv) === true,
    );
  }

  async #value(expression: Parameters<typeof compileExpression>[0], type: SqlType, frame: Frame): Promise<Value> {
    return this.#session.atomically(frame, this.#signal, (context) => {
      const compiled = compileExpression(expression, new Scope(context));
      return converter(compiled.type, type)(compiled.run(emptyEnv));
    });
  }

  async #declare(
    name: string,
    type: SqlType,
    value: Parameters<typeof compileExpression>[0] | undefined,
    frame: Frame,
  ): Promise<void> {
    const key = name.toLowerCase();
    // A DECLARE inside a loop runs again: it resets nothing unless it has a value.
    const known = frame.variables.get(key);
    const initial = value === undefined ? null : await this.#value(value, type, frame);
    if (known === undefined) frame.variables.set(key, { type, value: initial });
    else if (known.type !== type)
      throw new SqlError(
        134,
        `The variable name '${name}' has already been declared. Variable names must be unique within a query batch or stored procedure.`,
        15,
        2,
      );
    else if (value !== undefined) known.value = initial;
  }

  async #setVariable(statement: StatementOf<'setVariable'>, frame: Frame): Promise<void> {
    const variable = frame.variables.get(statement.name.toLowerCase());
    if (variable === undefined) throw new SqlError(137, `Must declare the scalar variable "${statement.name}".`, 15, 1);
    const value = await this.#session.atomically(frame, this.#signal, (context) => {
      let compiled = compileExpression(statement.value, new Scope(context));
      if (statement.operator !== '=')
        compiled = arithmetic(statement.operator, { type: variable.type, run: () => variable.value }, compiled);
      return converter(compiled.type, variable.type)(compiled.run(emptyEnv));
    });
    variable.value = value;
    this.#session.rowCount = 1;
  }

  async #alterDatabase(statement: StatementOf<'alterDatabase'>, frame: Frame): Promise<void> {
    const session = this.#session;
    if (statement.database !== undefined && statement.database.toLowerCase() !== session.database.name.toLowerCase())
      throw outsideSubset('ALTER DATABASE of another database', statement.line);
    if (session.transaction !== undefined)
      throw new SqlError(226, 'ALTER DATABASE statement not allowed within multi-statement transaction.');
    await session.atomically(frame, this.#signal, ({ database, transaction }) => {
      const field = statement.option === 'ALLOW_SNAPSHOT_ISOLATION' ? 'snapshotAllowed' : 'readCommittedSnapshot';
      const before = database[field];
      database[field] = statement.on;
      transaction.changedSchema(() => {
        database[field] = before;
      }, true);
    });
  }

  async #track(statement: StatementOf<'trackDatabase'> | StatementOf<'trackTable'>, frame: Frame): Promise<void> {
    const session = this.#session;
    if (statement.kind === 'trackDatabase') {
      const { database } = statement;
      if (database !== undefined && database.toLowerCase() !== session.database.name.toLowerCase())
        throw outsideSubset('ALTER DATABASE of another database', statement.line);
      if (session.transaction !== undefined)
        throw new SqlError(226, 'ALTER DATABASE statement not allowed within multi-statement transaction.');
    }
    await session.atomically(frame, this.#signal, (context) => setTracking(statement, context));
  }

  async #loop(statement: StatementOf<'while'>, frame: Frame): Promise<Outcome> {
    while (await this.#condition(statement.condition, frame)) {
      const outcome = await this.#one(statement.body, frame);
      if (outcome === 'break') break;
      if (outcome === 'return' || outcome === 'abort') return outcome;
    }
    return 'next';
  }

  async #try(statement: StatementOf<'try'>, frame: Frame): Promise<Outcome> {
    const session = this.#session;
    this.#tries += 1;
    try {
      const outcome = await this.#all(statement.body, frame);
      this.#tries -= 1;
      return outcome;
    } catch (error) {
      this.#tries -= 1;
      if (!(error instanceof SqlError)) throw error;
      const outer = session.caught;
      session.caught = error;
      try {
        return await this.#all(statement.handler, frame);
      } finally {
        session.caught = outer;
      }
    }
  }

  async #throw(statement: StatementOf<'throw'>, frame: Frame): Promise<never> {
    if (statement.number === undefined || statement.message === undefined || statement.state === undefined) {
      const { caught } = this.#session;
      if (caught === undefined)
        throw new SqlError(10704, 'To rethrow an error, a THROW statement must be used inside a CATCH block.', 15);
      throw new SqlError(caught.number, caught.message, caught.severity, caught.state, caught.line);
    }
    const number = Number(await this.#value(statement.number, types.int, frame));
    const message = valueText(await this.#value(statement.message, nvarchar(2048), frame));
    const state = Number(await this.#value(statement.state, types.int, frame));
    if (number < 50_000)
      throw new SqlError(
        35_100,
        `Error number ${number} in the THROW statement is outside the valid range. Specify an error number in the valid range of 50000 to 2147483647.`,
      );
    throw new SqlError(number, message, 16, state);
  }

  async #raise(statement: StatementOf<'raiserror'>, frame: Frame): Promise<void> {
    const pattern = await this.#value(statement.message, nvarchar(2048), frame);
    const severity = Number(await this.#value(statement.severity, types.int, frame));
    const state = Number(await this.#value(statement.state, types.int, frame));
    if (
      typeof pattern === 'string' &&
      /^\d+$/.test(pattern) &&
      statement.message.kind === 'literal' &&
      family(statement.message.type) === 'integer'
    )
      throw outsideSubset('RAISERROR with a message number', statement.line);
    const args: string[] = [];
    for (const arg of statement.args) args.push(valueText(await this.#value(arg, nvarchar(2048), frame), '(null)'));
    const message = valueText(pattern).replace(/%(?:%|[-+0 #]*\d*(?:\.\d+)?(?:I64)?[diosuxX])/g, (mark) =>
      mark === '%%' ? '%' : (args.shift() ?? '(null)'),
    );
    if (severity > 10) throw new SqlError(50_000, message, severity, state);
    this.#responder.info(message, 50_000, severity, state, statement.line);
  }

  async #delay(statement: StatementOf<'waitfor'>, frame: Frame): Promise<void> {
    const time = (await this.#value(statement.delay, { ...types.datetime2, name: 'time' }, frame)) as number | null;
    const milliseconds = (time ?? 0) / 10_000;
    await pause(milliseconds, this.#signal);
  }

  async #dynamic(statement: StatementOf<'execute'> | StatementOf<'executeText'>, frame: Frame): Promise<Outcome> {
    const session = this.#session;
    if (session.nestLevel >= 32)
      throw new SqlError(
        217,
        'Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).',
      );
    session.nestLevel += 1;
    const leave = session.enterScope();
    try {
      if (statement.kind === 'executeText') {
        const text = await this.#value(statement.text, nvarchar(-1), frame);
        return (await this.run(valueText(text), newFrame())) ? 'next' : 'abort';
      }
      if (statement.procedure !== 'sp_executesql' && /^(sp|xp)_/.test(statement.procedure))
        throw outsideSubset(`procedure ${statement.procedure}`);
      if (statement.procedure !== 'sp_executesql')
        throw new SqlError(2812, `Could not find stored procedure '${statement.procedure}'.`, 16, 62);
      return await this.#executeSql(statement, frame);
    } finally {
      leave();
      session.nestLevel -= 1;
    }
  }

  async #executeSql(statement: StatementOf<'execute'>, frame: Frame): Promise<Outcome> {
    const [text, declarations, ...given] = statement.args;
    if (text === undefined)
      throw new SqlError(
        201,
        "Procedure or function 'sp_executesql' expects parameter '@statement', which was not supplied.",
      );
    const parameters =
      declarations === undefined
        ? []
        : parseParameters(valueText(await this.#value(declarations.value, nvarchar(-1), frame)));
    const inner = newFrame();
    for (const { name, type } of parameters) inner.variables.set(name.toLowerCase(), { type, value: null });
    const outputs: { readonly from: Variable; readonly to: Variable }[] = [];
    for (const [position, argument] of given.entries()) {
      const name = argument.name ?? parameters[position]?.name ?? '';
      const target = inner.variables.get(name.toLowerCase());
      if (target === undefined) throw new SqlError(8145, `${name} is not a parameter for procedure sp_executesql.`);
      target.value = await this.#value(argument.value, target.type, frame);
      const to =
        argument.output && argument.value.kind === 'variable'
          ? frame.variables.get(argument.value.name.toLowerCase())
          : undefined;
      if (to !== undefined) outputs.push({ from: target, to });
    }
    const ended = await this.run(valueText(await this.#value(text.value, nvarchar(-1), frame)), inner);
    for (const { from, to } of outputs)
      to.value = storing(
        from.type,
        to.type,
        () => new SqlError(8152, 'String or binary data would be truncated.'),
      )(from.value);
    const result = statement.result === undefined ? undefined : frame.variables.get(statement.result.toLowerCase());
    if (result !== undefined) result.value = 0;
    return ended ? 'next' : 'abort';
  }
}

function asSqlError(error: unknown): SqlError {
  if (error instanceof SqlError) return error;
  throw error;
}
