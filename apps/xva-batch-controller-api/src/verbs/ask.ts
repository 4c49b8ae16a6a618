import { parseContract, problemSchema } from '@xva/contracts';
import { cliExitCodes, CliError, type VerbContext } from '@xva/runtime';
import type { configSchema } from '../config.ts';

export type Context = VerbContext<typeof configSchema>;
export type Options = Readonly<Record<string, string | boolean | undefined>>;

export interface Question {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Absent = 30 s. */
  readonly signal?: AbortSignal;
}

/**
 * Asks the running controller. Answers up to 399 come back, also 304; a problem ends the verb: `refused` (5) for the
 * caller's part, `notReady` (4) when the controller or what it needs is away.
 */
export async function ask(context: Context, path: string, question: Question = {}): Promise<Response> {
  const { controllerUrl, controllerApiKey } = context.config;
  if (controllerUrl === undefined || controllerApiKey === undefined)
    throw new CliError('set controllerUrl and controllerApiKey to ask a controller', cliExitCodes.badConfig);
  const { method = 'GET', body, headers = {}, signal = AbortSignal.timeout(30_000) } = question;
  const sent = new Headers({ 'x-api-key': controllerApiKey });
  if (body !== undefined) sent.set('content-type', 'application/json');
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) sent.set(name, value);
  let response: Response;
  try {
    const init = { method, headers: sent, signal, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    response = await fetch(new URL(path, controllerUrl), init);
  } catch (error) {
    if (context.lifecycle.stopTaking.aborted) throw error;
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CliError(`the controller at ${controllerUrl} does not answer: ${why}`, cliExitCodes.notReady);
  }
  if (response.status < 400) return response;
  const text = await response.text();
  let problem = { code: `http-${response.status}`, detail: text.slice(0, 200), requestId: '?' };
  if ((response.headers.get('content-type') ?? '').includes('problem+json')) {
    const { code, detail = '', requestId = '?' } = parseContract(problemSchema, JSON.parse(text), 'answer');
    problem = { code, detail, requestId };
  }
  throw new CliError(
    `${problem.code}: ${problem.detail} (request ${problem.requestId})`,
    response.status >= 500 || response.status === 429 ? cliExitCodes.notReady : cliExitCodes.refused,
  );
}

export async function askJson(context: Context, path: string, question?: Question): Promise<unknown> {
  return (await ask(context, path, question)).json();
}

/** Columns under their heads, as wide as they need to be. */
export function tableText(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(heads), ...rows.map(line)].join('\n');
}

export function textOption(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** @throws CliError for what is no whole number within the bounds */
export function integerOption(options: Options, name: string, minimum: number, maximum: number): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || value < minimum || value > maximum)
    throw new CliError(`--${name} takes a whole number from ${minimum} to ${maximum}, not ${text}`, cliExitCodes.usage);
  return value;
}

export function unknownVerb(verb: string, what: string | undefined, known: readonly string[]): CliError {
  return new CliError(`${verb} ${what ?? ''} is not known: use ${known.join(', ')}`, cliExitCodes.usage);
}
