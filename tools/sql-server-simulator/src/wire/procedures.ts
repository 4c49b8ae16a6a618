import type { ParameterDeclaration } from '../sql/parser.ts';
import type { BatchRunner } from '../run/batch.ts';
import { type Frame, newFrame, type Session } from '../run/session.ts';
import { converter } from '../types/convert.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { types } from '../types/sql-type.ts';
import type { Reply } from './reply.ts';
import type { RpcCall, RpcParameter } from './rpc.ts';
import { writeReturnStatus, writeReturnValue } from './tokens.ts';

export interface Prepared {
  readonly text: string;
  readonly declarations: string;
}

/** Statements prepared on one connection. */
export class PreparedStatements {
  readonly #known = new Map<number, Prepared>();
  #next = 1;

  add(prepared: Prepared): number {
    const handle = this.#next++;
    this.#known.set(handle, prepared);
    return handle;
  }

  get(handle: number): Prepared {
    const found = this.#known.get(handle);
    if (found === undefined)
      throw new SqlError(8179, `Could not find prepared statement with handle ${handle}.`, 16, 2);
    return found;
  }

  remove(handle: number): void {
    this.get(handle);
    this.#known.delete(handle);
  }

  clear(): void {
    this.#known.clear();
  }
}

function textOf(parameter: RpcParameter | undefined, procedure: string, name: string): string {
  if (parameter === undefined)
    throw new SqlError(
      201,
      `Procedure or function '${procedure}' expects parameter '${name}', which was not supplied.`,
      16,
      4,
    );
  if (typeof parameter.value === 'string') return parameter.value;
  if (parameter.value === null) return '';
  throw new SqlError(214, `Procedure expects parameter '${name}' of type 'ntext/nchar/nvarchar'.`, 16, 2);
}

interface Bound {
  readonly frame: Frame;
  readonly outputs: readonly { readonly ordinal: number; readonly sent: string; readonly declared: string }[];
}

/** Puts the values into variables of their declared types: by name where the client gives one, else by position. */
function bind(
  declared: readonly ParameterDeclaration[],
  declarations: string,
  given: readonly RpcParameter[],
  offset: number,
): Bound {
  const frame = newFrame();
  for (const { name, type } of declared) frame.variables.set(name.toLowerCase(), { type, value: null });
  const outputs: { ordinal: number; sent: string; declared: string }[] = [];
  const seen = new Set<string>();
  given.forEach((parameter, position) => {
    const name = parameter.name === '' ? (declared[position]?.name ?? '') : parameter.name;
    const variable = frame.variables.get(name.toLowerCase());
    if (variable === undefined) {
      throw parameter.name === ''
        ? new SqlError(8144, 'Procedure or function has too many arguments specified.', 16, 2)
        : new SqlError(8145, `${name} is not a parameter for procedure .`, 16, 2);
    }
    variable.value = converter(parameter.type, variable.type)(parameter.value);
    seen.add(name.toLowerCase());
    if (parameter.byReference)
      outputs.push({ ordinal: position + offset, sent: parameter.name, declared: name.toLowerCase() });
  });
  const missing = declared.find(
    ({ name, default: fallback }) => fallback === undefined && !seen.has(name.toLowerCase()),
  );
  if (missing !== undefined) {
    throw new SqlError(
      8178,
      `The parameterized query '(${declarations})' expects the parameter '${missing.name}', which was not supplied.`,
      16,
      1,
    );
  }
  return { frame, outputs };
}

async function execute(
  prepared: Prepared,
  given: readonly RpcParameter[],
  offset: number,
  runner: BatchRunner,
  reply: Reply,
  session: Session,
): Promise<void> {
  const { frame, outputs } = bind(runner.parameters(prepared.declarations), prepared.declarations, given, offset);
  const leave = session.enterScope();
  try {
    await runner.run(prepared.text, frame);
  } finally {
    leave();
  }
  for (const { ordinal, sent, declared } of outputs) {
    const variable = frame.variables.get(declared);
    if (variable !== undefined) writeReturnValue(reply.out, ordinal, sent, variable.type, variable.value);
  }
}

/**
 * Runs a remote procedure call of the closed list; its answer goes to the reply, without the last DONEPROC.
 *
 * @throws SqlError 201, 214, 2812, 8144, 8145, 8178, 8179, or the subset's refusal
 */
export async function runProcedure(
  call: RpcCall,
  runner: BatchRunner,
  reply: Reply,
  prepared: PreparedStatements,
  session: Session,
): Promise<void> {
  const { procedure, parameters } = call;
  const handleOf = (parameter: RpcParameter | undefined): number => Number(parameter?.value ?? 0);
  switch (procedure) {
    case 'sp_executesql':
      await execute(
        {
          text: textOf(parameters[0], procedure, '@statement'),
          declarations: parameters[1] === undefined ? '' : textOf(parameters[1], procedure, '@params'),
        },
        parameters.slice(2),
        2,
        runner,
        reply,
        session,
      );
      break;
    case 'sp_prepare':
    case 'sp_prepexec': {
      const statement = {
        declarations: textOf(parameters[1], procedure, '@params'),
        text: textOf(parameters[2], procedure, '@stmt'),
      };
      const handle = prepared.add(statement);
      if (procedure === 'sp_prepexec') await execute(statement, parameters.slice(3), 3, runner, reply, session);
      writeReturnValue(
        reply.out,
        0,
        parameters[0]?.name === '' ? 'handle' : (parameters[0]?.name ?? 'handle'),
        types.int,
        handle,
      );
      break;
    }
    case 'sp_execute':
      await execute(prepared.get(handleOf(parameters[0])), parameters.slice(1), 1, runner, reply, session);
      break;
    case 'sp_unprepare':
      prepared.remove(handleOf(parameters[0]));
      break;
    case 'sp_reset_connection':
      session.reset();
      break;
    default:
      if (/^(sp|xp)_/.test(procedure)) throw outsideSubset(`procedure ${procedure}`);
      throw new SqlError(2812, `Could not find stored procedure '${procedure}'.`, 16, 62);
  }
  writeReturnStatus(reply.out, runner.returnValue);
}

/** The statement's text in a call, for the transcript and for faults. */
export function textOfCall(call: RpcCall, prepared: PreparedStatements): string {
  const at =
    call.procedure === 'sp_executesql'
      ? 0
      : call.procedure === 'sp_prepare' || call.procedure === 'sp_prepexec'
        ? 2
        : -1;
  const value = at === -1 ? undefined : call.parameters[at]?.value;
  if (typeof value === 'string') return value;
  if (call.procedure !== 'sp_execute') return call.procedure;
  try {
    return prepared.get(Number(call.parameters[0]?.value ?? 0)).text;
  } catch {
    return call.procedure;
  }
}
