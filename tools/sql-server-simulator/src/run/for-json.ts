import type { ForJson } from '../sql/ast.ts';
import { converter } from '../types/convert.ts';
import { SqlError } from '../types/sql-error.ts';
import { family, nvarchar, type SqlType, type Value } from '../types/sql-type.ts';
import type { ColumnInfo } from './scope.ts';

function cellWriter(type: SqlType): (value: Value) => string {
  switch (family(type)) {
    case 'bit':
      return (value) => (value === 0 ? 'false' : 'true');
    case 'integer':
    case 'decimal': {
      const text = converter(type, nvarchar(-1), type.name === 'money' ? 2 : undefined);
      return (value) => text(value) as string;
    }
    case 'float':
      return (value) =>
        (value as number)
          .toExponential(15)
          .replace(/e([+-])(\d)$/, 'e$10$2')
          .replace(/e([+-])(\d\d)$/, 'e$10$2');
    case 'binary':
      return (value) => JSON.stringify(Buffer.from(value as Uint8Array).toString('base64'));
    case 'datetime':
    case 'date':
    case 'time':
    case 'offset': {
      const text = converter(type, nvarchar(-1), 126);
      return (value) =>
        JSON.stringify((text(value) as string).replace(/(\.\d*?)0+(?=$|[Z+-])/, '$1').replace(/\.(?=$|[Z+-])/, ''));
    }
    default:
      return (value) => JSON.stringify(value).replaceAll('/', '\\/');
  }
}

type Tree = Map<string, Tree | string>;

function put(tree: Tree, path: readonly string[], text: string): void {
  const [head = '', ...rest] = path;
  if (rest.length === 0) {
    if (tree.has(head))
      throw new SqlError(
        13601,
        `Property '${head}' cannot be generated in JSON output due to a conflict with another column name or alias.`,
      );
    tree.set(head, text);
    return;
  }
  let inner = tree.get(head);
  if (inner === undefined) {
    inner = new Map<string, Tree | string>();
    tree.set(head, inner);
  }
  if (typeof inner === 'string')
    throw new SqlError(
      13601,
      `Property '${path.join('.')}' cannot be generated in JSON output due to a conflict with another column name or alias.`,
    );
  put(inner, rest, text);
}

function write(tree: Tree): string {
  return `{${[...tree].map(([name, value]) => `${JSON.stringify(name)}:${typeof value === 'string' ? value : write(value)}`).join(',')}}`;
}

/** The text of FOR JSON PATH; null when there are no rows. */
export function forJson(
  columns: readonly ColumnInfo[],
  rows: readonly (readonly Value[])[],
  options: ForJson,
): string | null {
  const writers = columns.map(({ type, name }) => {
    if (name === '')
      throw new SqlError(
        13605,
        'Column expressions and data sources without names or aliases cannot be formatted as JSON text using FOR JSON clause. Add alias to the unnamed column or table.',
      );
    return { path: name.split('.'), text: cellWriter(type) };
  });
  if (rows.length === 0) return null;
  const objects = rows.map((values) => {
    const tree: Tree = new Map();
    writers.forEach(({ path, text }, position) => {
      const value = values[position] ?? null;
      if (value !== null) put(tree, path, text(value));
      else if (options.includeNulls) put(tree, path, 'null');
    });
    return write(tree);
  });
  const list = options.withoutArrayWrapper ? objects.join(',') : `[${objects.join(',')}]`;
  return options.root === undefined ? list : `{${JSON.stringify(options.root)}:${list}}`;
}
