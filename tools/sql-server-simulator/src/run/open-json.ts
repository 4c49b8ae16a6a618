import type { OpenJsonColumn } from '../sql/ast.ts';
import type { Values } from '../engine/row.ts';
import { converter } from '../types/convert.ts';
import { follow, type JsonNode, parseJson, scalarText } from '../types/json.ts';
import { SqlError } from '../types/sql-error.ts';
import { nvarchar, types, type Value } from '../types/sql-type.ts';
import type { Compiled, Env } from './context.ts';
import { as } from './function-kit.ts';
import { invalidJson, pathOf } from './functions-json.ts';
import type { ColumnInfo } from './scope.ts';

const text = nvarchar(-1);
const kinds: Readonly<Record<JsonNode['kind'], number>> = {
  null: 0,
  string: 1,
  number: 2,
  true: 3,
  false: 3,
  array: 4,
  object: 5,
};

type RowReader = (key: string, node: JsonNode) => Value[];

function defaultReader(): { readonly columns: ColumnInfo[]; readonly read: RowReader } {
  return {
    columns: [
      { name: 'key', type: { ...nvarchar(4000), binaryCollation: true } },
      { name: 'value', type: text },
      { name: 'type', type: types.tinyint },
    ],
    read: (key, node) => [
      key,
      node.kind === 'object' || node.kind === 'array' ? node.raw : scalarText(node),
      kinds[node.kind],
    ],
  };
}

function declaredReader(declared: readonly OpenJsonColumn[]): {
  readonly columns: ColumnInfo[];
  readonly read: RowReader;
} {
  const cells = declared.map(({ name, type, path, asJson }) => {
    const steps = pathOf(path ?? `$."${name.replace(/["\\]/g, '\\$&')}"`);
    const convert = converter(text, type);
    return (node: JsonNode): Value => {
      const found = follow(node, steps);
      if (found === undefined) {
        if (steps.strict) throw new SqlError(13608, 'Property cannot be found on the specified JSON path.', 16, 6);
        return null;
      }
      const compound = found.kind === 'object' || found.kind === 'array';
      if (asJson) return compound ? found.raw : null;
      return compound ? null : convert(scalarText(found));
    };
  });
  return {
    columns: declared.map(({ name, type }) => ({ name, type })),
    read: (_, node) => cells.map((cell) => cell(node)),
  };
}

/** OPENJSON(json[, path]) [WITH (…)]: one row per element or member; NULL gives no rows. */
export function openJson(
  json: Compiled,
  path: Compiled | undefined,
  declared: readonly OpenJsonColumn[] | undefined,
): {
  readonly columns: readonly ColumnInfo[];
  readonly list: (env: Env, take: (values: Values, ref: undefined) => boolean) => boolean;
} {
  const { columns, read } = declared === undefined ? defaultReader() : declaredReader(declared);
  const source = as(json, text);
  const pathText = path === undefined ? () => '$' : as(path, text);
  return {
    columns,
    list: (env, take) => {
      const document = source(env) as string | null;
      const where = pathText(env) as string | null;
      if (document === null || where === null) return false;
      const root = parseJson(document);
      if (root === undefined) throw invalidJson();
      const steps = pathOf(where);
      const node = follow(root, steps);
      if (node === undefined) {
        if (steps.strict) throw new SqlError(13608, 'Property cannot be found on the specified JSON path.', 16, 6);
        return false;
      }
      // With a schema, a single object is one row; without, its members are the rows.
      if (node.kind === 'object' && declared !== undefined) return take(read('', node), undefined);
      const entries =
        node.kind === 'array'
          ? (node.elements ?? []).map((element, index) => [String(index), element] as const)
          : (node.members ?? []);
      return entries.some(([key, element]) => take(read(key, element), undefined));
    },
  };
}
