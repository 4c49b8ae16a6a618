import { LineCounter, isMap, isPair, isScalar, parseDocument, type Document, type Node } from 'yaml';
import { definitionFileSchema, type PollingDefinition } from './schema.ts';

export interface DefinitionIssue {
  /** Line in the file, from 1. */
  readonly line: number;
  /** Such as `definitions[0].window.maxDelayMs`; empty for a fault of the text itself. */
  readonly path: string;
  readonly message: string;
}

/** Thrown when the definition file does not fit; holds every fault with its line. */
export class DefinitionFileError extends Error {
  override readonly name = 'DefinitionFileError';
  readonly file: string;
  readonly issues: readonly DefinitionIssue[];

  constructor(file: string, issues: readonly DefinitionIssue[]) {
    const lines = issues.map(
      ({ line, path, message }) => `${file}:${line}: ${path === '' ? '' : `${path}: `}${message}`,
    );
    super(`the definition file is not valid:\n${lines.join('\n')}`);
    this.file = file;
    this.issues = issues;
  }
}

/**
 * Polling definitions from YAML (JSON is YAML).
 *
 * @param file the name for messages
 * @throws DefinitionFileError with every fault of the text and every fault of the values, each with its line.
 */
export function parseDefinitions(text: string, file: string): readonly PollingDefinition[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const faults = [...document.errors, ...document.warnings].map((error) => ({
    line: lines.linePos(error.pos[0]).line,
    path: '',
    message: error.message,
  }));
  if (document.errors.length > 0) throw new DefinitionFileError(file, faults);
  const result = definitionFileSchema.safeParse(document.toJS({ maxAliasCount: 100 }));
  if (result.success && faults.length === 0) {
    const { calendars, definitions } = result.data;
    return definitions.map((definition) => ({ ...definition, calendarRules: calendars }));
  }
  const issues = (result.error?.issues ?? []).flatMap((issue) => {
    // Unknown keys are one issue at their parent; each gets its own line.
    const names = issue.code === 'unrecognized_keys' ? issue.keys : [undefined];
    return names.map((name) => {
      const path = name === undefined ? issue.path : [...issue.path, name];
      return {
        line: lineOf(document, path, lines),
        path: formatPath(path),
        message: name === undefined ? issue.message : 'there is no such setting',
      };
    });
  });
  throw new DefinitionFileError(
    file,
    [...faults, ...issues].sort((a, b) => a.line - b.line),
  );
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, step) =>
      typeof step === 'number' ? `${text}[${step}]` : text === '' ? String(step) : `${text}.${String(step)}`,
    '',
  );
}

/** Line of the key or item at `path`, or of the nearest thing above it that is in the file. */
function lineOf(document: Document, path: readonly PropertyKey[], lines: LineCounter): number {
  for (let length = path.length; length > 0; length -= 1) {
    const offset = offsetOf(document, path.slice(0, length));
    if (offset !== undefined) return lines.linePos(offset).line;
  }
  return 1;
}

function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  const parent = path.length === 1 ? document.contents : (document.getIn(path.slice(0, -1), true) as Node | undefined);
  const last = path.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === last);
    return isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
  }
  const node = document.getIn(path, true) as Node | undefined;
  return node?.range?.[0];
}
