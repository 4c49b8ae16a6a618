import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ContractError } from '@xva/contracts';
import { printable, printableJson } from '@xva/runtime';
import { checks } from './checks.ts';
import { checkNames, runSuite, type CheckResult } from './run-suite.ts';

const help = `Usage: input-api:conformance --url URL [options]

Asks an implementation of the input API everything that its contract promises (docs/openapi/input-api.json) and says, by
name, which promises hold. Sends requests only: it reads nothing else of the implementation, and changes nothing.

Options:
  --url URL             address of the implementation, without /v1
  --api-key KEY         its API key; better given as XVA_INPUT_API_KEY
  --request FILE        a request that it can package whole, with two netting sets or more (default: a book of four
                        trades in EUR and USD with its market, which the reference implementation packages)
  --too-large-mib N     a body of this size must be refused (default 65)
  --deadline-ms N       for one answer (default 60000)
  --only NAME,…         only these checks
  --list                the names of the checks and what they hold the implementation to
  --json                one JSON line per check

Exit codes: 0 all passed · 1 some failed · 2 wrong call`;

export interface Host {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly print: (line: string) => void;
  readonly complain: (line: string) => void;
}

class UsageError extends Error {}

/** Returns the exit code. */
export async function conformanceCommand(host: Host): Promise<number> {
  try {
    return await command(host);
  } catch (error) {
    const isUsage = error instanceof UsageError || error instanceof ContractError || isArgsError(error);
    if (!isUsage) throw error;
    host.complain(`${error.message}\n\n${help}`);
    return 2;
  }
}

async function command({ args, env, print }: Host): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      url: { type: 'string' },
      'api-key': { type: 'string' },
      request: { type: 'string' },
      'too-large-mib': { type: 'string', default: '65' },
      'deadline-ms': { type: 'string', default: '60000' },
      only: { type: 'string' },
      list: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    print(help);
    return 0;
  }
  if (values.list) {
    for (const { name, promise } of checks) print(`${name.padEnd(22)} ${promise}`);
    return 0;
  }
  const only = values.only?.split(',');
  const unknown = only?.filter((name) => !checkNames.includes(name)) ?? [];
  if (unknown.length > 0) throw new UsageError(`no check is called ${unknown.join(', ')}; --list names them`);
  const apiKey = values['api-key'] ?? env['XVA_INPUT_API_KEY'] ?? '';
  if (apiKey === '') throw new UsageError('give the API key as XVA_INPUT_API_KEY or --api-key');
  const options = {
    url: urlOf(values.url),
    apiKey,
    request: requestOf(values.request),
    deadlineMs: positive('--deadline-ms', values['deadline-ms']),
    tooLargeBytes: positive('--too-large-mib', values['too-large-mib']) * 1024 * 1024,
  };
  const results = await runSuite(options, (result) => print(values.json ? printableJson(result) : line(result)), only);
  const failed = results.filter(({ ok }) => !ok).length;
  const totals = { passed: results.length - failed, failed };
  print(values.json ? JSON.stringify(totals) : `${totals.passed} passed, ${totals.failed} failed`);
  return failed === 0 ? 0 : 1;
}

function line({ ok, name, promise, detail, tookMs }: CheckResult): string {
  return ok ? `ok   ${name}: ${promise} (${tookMs} ms)` : `FAIL ${name}: ${printable(detail)}`;
}

function urlOf(text: string | undefined): string {
  const url = text === undefined ? null : URL.parse(text);
  if (url !== null && ['http:', 'https:'].includes(url.protocol)) return url.href;
  throw new UsageError(`--url must be an http or https address${text === undefined ? '' : `, not ${text}`}`);
}

function requestOf(file: string | undefined): unknown {
  const path = file ?? new URL('sample-request.json', import.meta.url);
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch (error) {
    throw new UsageError(`--request ${file ?? ''}: ${(error as Error).message}`);
  }
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new UsageError(`${option} must be a whole number above zero, not ${text}`);
}

const isArgsError = (error: unknown): error is Error =>
  String((error as { code?: unknown } | null)?.code).startsWith('ERR_PARSE_ARGS');
