import { createHash } from 'node:crypto';
import { encode1252 } from '../types/code-page.ts';
import { collationKey } from '../types/collation.ts';
import { converter } from '../types/convert.ts';
import { outsideSubset, SqlError } from '../types/sql-error.ts';
import { family, nvarchar, type SqlType, types, varbinary, varchar } from '../types/sql-type.ts';
import type { Compiled, Env } from './context.ts';
import { argument, as, define, type FunctionSpec, strict } from './function-kit.ts';

const maxText = nvarchar(-1);

/** Strings keep their type; everything else is read as text. */
function textType(operand: Compiled): SqlType {
  const { type } = operand;
  return family(type) === 'string'
    ? { ...type, name: type.name.startsWith('n') ? 'nvarchar' : 'varchar' }
    : nvarchar(4000);
}

function mapText(work: (text: string) => string): FunctionSpec {
  return define(1, 1, (args) => {
    const operand = argument(args, 0);
    return strict(textType(operand), [as(operand, maxText)], work);
  });
}

function trimEnd(text: string): string {
  return text.replace(/ +$/, '');
}

function lengthError(name: string): SqlError {
  return new SqlError(537, `Invalid length parameter passed to the ${name} function.`);
}

/** Positions of a text in another under CI_AS, code unit by code unit. */
function indexOf(text: string, wanted: string, from: number): number {
  return text.toLowerCase().indexOf(wanted.toLowerCase(), from);
}

function replaceAll(text: string, wanted: string, replacement: string): string {
  if (wanted === '') return text;
  let result = '';
  let at = 0;
  for (let next = indexOf(text, wanted, 0); next !== -1; next = indexOf(text, wanted, at)) {
    result += text.slice(at, next) + replacement;
    at = next + wanted.length;
  }
  return result + text.slice(at);
}

/** CONCAT's argument as text; NULL counts as empty. */
function looseText(operand: Compiled): (env: Env) => string {
  const convert = converter(operand.type, maxText);
  return (env) => (convert(operand.run(env)) as string | null) ?? '';
}

function concatType(args: readonly Compiled[]): SqlType {
  const wide = args.some(({ type }) => type.name.startsWith('n') && type.name !== 'null');
  if (args.some(({ type }) => type.length === -1)) return wide ? nvarchar(-1) : varchar(-1);
  const length = args.reduce((sum, { type }) => sum + (family(type) === 'string' ? type.length : 40), 0);
  return wide ? nvarchar(Math.min(length, 4000)) : varchar(Math.min(length, 8000));
}

const hashes: Readonly<Record<string, string>> = {
  SHA2_256: 'sha256',
  SHA2_512: 'sha512',
  SHA1: 'sha1',
  SHA: 'sha1',
  MD5: 'md5',
};

function bytesOf(operand: Compiled): (env: Env) => Uint8Array | null {
  return (env) => {
    const value = operand.run(env);
    if (value === null || value instanceof Uint8Array) return value;
    if (family(operand.type) !== 'string')
      throw new SqlError(
        8116,
        `Argument data type ${operand.type.name} is invalid for argument 2 of hashbytes function.`,
      );
    return operand.type.name.startsWith('n') ? Buffer.from(value as string, 'utf16le') : encode1252(value as string);
  };
}

export const textFunctions: Readonly<Record<string, FunctionSpec>> = {
  UPPER: mapText((text) => text.toUpperCase()),
  LOWER: mapText((text) => text.toLowerCase()),
  LTRIM: mapText((text) => text.replace(/^ +/, '')),
  RTRIM: mapText(trimEnd),
  TRIM: mapText((text) => trimEnd(text.replace(/^ +/, ''))),
  REVERSE: mapText((text) => Array.from(text).reverse().join('')),
  LEN: define(1, 1, (args) => {
    const operand = argument(args, 0);
    if (family(operand.type) === 'binary') return strict(types.int, [operand.run], (bytes: Uint8Array) => bytes.length);
    return strict(operand.type.length === -1 ? types.bigint : types.int, [as(operand, maxText)], (text: string) => {
      const { length } = trimEnd(text);
      return operand.type.length === -1 ? BigInt(length) : length;
    });
  }),
  DATALENGTH: define(1, 1, (args) => {
    const operand = argument(args, 0);
    const max = operand.type.length === -1;
    const fixed: Partial<Record<string, number>> = {
      bit: 1,
      tinyint: 1,
      smallint: 2,
      int: 4,
      bigint: 8,
      float: 8,
      real: 4,
      uniqueidentifier: 16,
      date: 3,
      datetime: 8,
      money: 8,
      smallmoney: 4,
    };
    return strict(max ? types.bigint : types.int, [operand.run], (value: string | Uint8Array) => {
      let length = fixed[operand.type.name];
      if (typeof value === 'string' && length === undefined)
        length = operand.type.name.startsWith('n') ? value.length * 2 : value.length;
      if (value instanceof Uint8Array) length = value.length;
      if (length === undefined) throw outsideSubset(`DATALENGTH of ${operand.type.name}`);
      return max ? BigInt(length) : length;
    });
  }),
  SUBSTRING: define(3, 3, (args, { name }) => {
    const operand = argument(args, 0);
    const start = as(argument(args, 1), types.int);
    const count = as(argument(args, 2), types.int);
    const cut = (from: number, length: number): readonly [number, number] => {
      if (length < 0) throw lengthError(name.toLowerCase());
      return [Math.max(from - 1, 0), Math.max(from - 1 + length, 0)];
    };
    if (family(operand.type) === 'binary') {
      return strict(
        { ...operand.type, name: 'varbinary' },
        [operand.run, start, count],
        (bytes: Uint8Array, from: number, length: number) => bytes.subarray(...cut(from, length)),
      );
    }
    return strict(
      textType(operand),
      [as(operand, maxText), start, count],
      (text: string, from: number, length: number) => text.slice(...cut(from, length)),
    );
  }),
  LEFT: define(2, 2, (args, { name }) => {
    const operand = argument(args, 0);
    return strict(
      textType(operand),
      [as(operand, maxText), as(argument(args, 1), types.int)],
      (text: string, count: number) => {
        if (count < 0) throw lengthError(name.toLowerCase());
        return text.slice(0, count);
      },
    );
  }),
  RIGHT: define(2, 2, (args, { name }) => {
    const operand = argument(args, 0);
    return strict(
      textType(operand),
      [as(operand, maxText), as(argument(args, 1), types.int)],
      (text: string, count: number) => {
        if (count < 0) throw lengthError(name.toLowerCase());
        return count === 0 ? '' : text.slice(-count);
      },
    );
  }),
  REPLACE: define(3, 3, (args) => {
    const operand = argument(args, 0);
    const type = concatType([operand, argument(args, 2)]);
    return strict(
      type.name.startsWith('n') ? nvarchar(-1) : varchar(8000),
      args.map((arg) => as(arg, maxText)),
      replaceAll,
    );
  }),
  REPLICATE: define(2, 2, (args) => {
    const operand = argument(args, 0);
    const max = operand.type.length === -1;
    const limit = max ? 50_000_000 : operand.type.name.startsWith('n') ? 4000 : 8000;
    const type = max ? operand.type : operand.type.name.startsWith('n') ? nvarchar(4000) : varchar(8000);
    return strict(type, [as(operand, maxText), as(argument(args, 1), types.int)], (text: string, count: number) => {
      if (count < 0) return null;
      return text.repeat(Math.min(count, Math.ceil(limit / Math.max(text.length, 1)))).slice(0, limit);
    });
  }),
  SPACE: define(1, 1, (args) =>
    strict(varchar(8000), [as(argument(args, 0), types.int)], (count: number) =>
      count < 0 ? null : ' '.repeat(Math.min(count, 8000)),
    ),
  ),
  CHARINDEX: define(2, 3, (args) => {
    const start = args[2];
    return strict(
      types.int,
      [
        as(argument(args, 0), maxText),
        as(argument(args, 1), maxText),
        start === undefined ? () => 1 : as(start, types.int),
      ],
      (wanted: string, text: string, from: number) =>
        wanted === '' ? 0 : indexOf(text, wanted, Math.max(from - 1, 0)) + 1,
    );
  }),
  CONCAT: define(2, 254, (args) => {
    const parts = args.map(looseText);
    return { type: concatType(args), run: (env) => parts.map((part) => part(env)).join('') };
  }),
  CONCAT_WS: define(3, 254, (args) => {
    const separator = looseText(argument(args, 0));
    const rest = args.slice(1);
    const parts = rest.map(looseText);
    return {
      type: concatType(args),
      run: (env) =>
        parts
          .filter((_, position) => rest[position]?.run(env) !== null)
          .map((part) => part(env))
          .join(separator(env)),
    };
  }),
  QUOTENAME: define(1, 2, (args) =>
    strict(nvarchar(258), [as(argument(args, 0), types.sysname)], (text: string) => `[${text.replaceAll(']', ']]')}]`),
  ),
  UNICODE: define(1, 1, (args) =>
    strict(types.int, [as(argument(args, 0), maxText)], (text: string) => (text === '' ? null : text.charCodeAt(0))),
  ),
  ASCII: define(1, 1, (args) =>
    strict(types.int, [as(argument(args, 0), maxText)], (text: string) =>
      text === '' ? null : (encode1252(text)[0] ?? 0),
    ),
  ),
  CHAR: define(1, 1, (args) =>
    strict(varchar(1), [as(argument(args, 0), types.int)], (code: number) =>
      code < 0 || code > 255 ? null : Buffer.from([code]).toString('latin1'),
    ),
  ),
  NCHAR: define(1, 1, (args) =>
    strict(nvarchar(1), [as(argument(args, 0), types.int)], (code: number) =>
      code < 0 || code > 65_535 ? null : String.fromCharCode(code),
    ),
  ),
  HASHBYTES: define(2, 2, (args) => {
    const bytes = bytesOf(argument(args, 1));
    return strict(varbinary(8000), [as(argument(args, 0), maxText), bytes], (name: string, data: Uint8Array) => {
      const algorithm = hashes[name.toUpperCase()];
      return algorithm === undefined ? null : createHash(algorithm).update(data).digest();
    });
  }),
};

export { collationKey };
