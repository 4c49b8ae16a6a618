import { runViewSchema, scalars } from '@xva/contracts';
import { viewOf, type StoredRun } from '@xva/flow-submit';
import { z } from 'zod';
import { runViewExample } from '../examples.ts';
import type { Answer, ResponseDoc } from '../route.ts';

export const nothing = z.strictObject({});
export const runParams = z.strictObject({ runId: scalars.runId.meta({ example: runViewExample.runId }) });

/** A whole number in a query: digits only, within its bounds. */
export function queryInteger(minimum: number, maximum: number) {
  const digits = z.string().regex(/^(0|[1-9][0-9]{0,8})$/, `must be a whole number from ${minimum} to ${maximum}`);
  return digits.transform(Number).pipe(z.int().min(minimum).max(maximum)).meta({ type: 'integer', minimum, maximum });
}

/** `one` or `one,two`, each of the given words, none twice. */
export function queryWords<const T extends readonly [string, ...string[]]>(words: T) {
  const any = words.join('|');
  return z
    .string()
    .regex(new RegExp(`^(${any})(,(${any}))*$`), `must be some of ${words.join(', ')}, comma-separated`)
    .max(200)
    .transform((text) => [...new Set(text.split(','))])
    .pipe(z.array(z.enum(words)).min(1));
}

export const runDoc: ResponseDoc = {
  description: 'the run',
  schema: { name: 'RunView', schema: runViewSchema, example: runViewExample },
  headers: { etag: 'the version of the run, for If-None-Match and If-Match' },
};
export const noSuchRun: Readonly<Record<number, ResponseDoc>> = {
  404: { description: 'no such run, or one of another desk' },
  410: { description: 'the run was swept; the problem says how it ended' },
};

export function etagOf({ record }: StoredRun): string {
  return `"${record.version}"`;
}

export function runAnswer(status: number, found: StoredRun, headers: Readonly<Record<string, string>> = {}) {
  return {
    status,
    body: viewOf(found.record),
    headers: { etag: etagOf(found), 'cache-control': 'no-cache', ...headers },
  } satisfies Answer;
}

/** State and version of a run, for the audit. */
export function markOf({ state, version }: { readonly state: string; readonly version: number }): string {
  return `${state} v${version}`;
}
