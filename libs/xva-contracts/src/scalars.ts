import { z } from 'zod';

/** Ids that reach file names, XML and CSV: a slash breaks the engine's report writing after the whole simulation. */
export const idToken = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ . -')
  .refine((id) => id !== '.' && id !== '..', 'must not be a path step');

export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex');

export const currencyCode = z.string().regex(/^[A-Z]{3}$/, 'must be a three-letter currency code');

/** Calendar date `YYYY-MM-DD`, really existing. */
export const isoDate = z.iso.date();

export const timestamp = z.iso.datetime({ offset: true });

/** A decimal number as text, to the last digit: at most 20 digits before and 18 after the point, no exponent. */
export const decimalString = z
  .string()
  .regex(/^-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,18})?$/, 'must be a decimal number such as -12.5');

/** ORE period: `2W`, `6M`, `10Y`. */
export const tenor = z.string().regex(/^[1-9][0-9]{0,3}[DWMY]$/, 'must be a period such as 2W, 6M or 10Y');

/** W3C Trace Context, section 3.2 (version 00). */
export const traceparent = z
  .string()
  .regex(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/, 'must be a W3C traceparent');

export const eventId = z.string().regex(/^[0-9a-f]{32}$/, 'must be an event id (32 hex digits)');

export const runId = z
  .string()
  .regex(/^xva-[0-9]{8}-[a-z0-9-]{1,27}$/, 'must be a run id such as xva-20260930-rates-…');

export const taskId = z.string().regex(/^(shard-[0-9]{4}|merge)$/, 'must be shard-0001 … shard-9999 or merge');

export const schemaVersion = z.literal('1.0');

/** Path inside a package or bundle: relative, forward slashes, no empty, dot or hidden step, printable ASCII. */
export const relativePath = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9_.-]*(\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$/, 'must be a plain relative path');
