import { follow, type JsonNode, type JsonPath, parseJson, parsePath, scalarText } from '../types/json.ts';
import { SqlError } from '../types/sql-error.ts';
import { nvarchar, types } from '../types/sql-type.ts';
import { argument, as, define, type FunctionSpec, strict } from './function-kit.ts';

const text = nvarchar(-1);

export function invalidJson(): SqlError {
  return new SqlError(13609, 'JSON text is not properly formatted. Unexpected character is found.', 16, 4);
}

export function pathOf(source: string): JsonPath {
  const path = parsePath(source);
  if (path === undefined)
    throw new SqlError(13607, 'JSON path is not properly formatted. Unexpected character is found.', 16, 4);
  return path;
}

/** Remembers the last document: several JSON_VALUE calls on one row parse it once. */
export function jsonReader(): (source: string) => JsonNode {
  let lastSource: string | undefined;
  let lastNode: JsonNode | undefined;
  return (source) => {
    if (source !== lastSource) {
      lastNode = parseJson(source);
      lastSource = source;
    }
    if (lastNode === undefined) throw invalidJson();
    return lastNode;
  };
}

export const jsonFunctions: Readonly<Record<string, FunctionSpec>> = {
  ISJSON: define(1, 1, (args) =>
    strict(types.int, [as(argument(args, 0), text)], (source: string) => {
      const kind = parseJson(source)?.kind;
      return kind === 'object' || kind === 'array' ? 1 : 0;
    }),
  ),
  JSON_VALUE: define(2, 2, (args) => {
    const read = jsonReader();
    return strict(
      nvarchar(4000),
      [as(argument(args, 0), text), as(argument(args, 1), text)],
      (source: string, pathText: string) => {
        const path = pathOf(pathText);
        const node = follow(read(source), path);
        const value = node === undefined ? null : scalarText(node);
        if (path.strict && (node === undefined || (value === null && node.kind !== 'null'))) {
          throw node === undefined
            ? new SqlError(13608, 'Property cannot be found on the specified JSON path.', 16, 5)
            : new SqlError(13623, 'Scalar value cannot be found in the specified JSON path.', 16, 2);
        }
        return value !== null && value.length > 4000 ? null : value;
      },
    );
  }),
  JSON_QUERY: define(1, 2, (args) => {
    const read = jsonReader();
    const pathReader = args[1] === undefined ? () => '$' : as(args[1], text);
    return strict(text, [as(argument(args, 0), text), pathReader], (source: string, pathText: string) => {
      const path = pathOf(pathText);
      const node = follow(read(source), path);
      if (node?.kind === 'object' || node?.kind === 'array') return node.raw;
      if (path.strict) throw new SqlError(13608, 'Property cannot be found on the specified JSON path.', 16, 5);
      return null;
    });
  }),
};
