/** Thrown when a command line's quotes are not closed. */
export class CommandLineError extends Error {
  override readonly name = 'CommandLineError';
}

/**
 * Splits a command line as the node agent does: no shell, no variables, no wildcards.
 *
 * Blanks separate; double quotes group, with `\"` and `\\` inside; single quotes group literally (seen to work on Linux
 * nodes); outside quotes a backslash escapes a quote, a backslash or a blank and is itself otherwise.
 *
 * @throws CommandLineError
 */
export function splitCommandLine(line: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < line.length) {
    const char = line[at] ?? '';
    at += 1;
    if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === "'") {
      const end = line.indexOf("'", at);
      if (end < 0) throw new CommandLineError('a single quote is not closed');
      word = (word ?? '') + line.slice(at, end);
      at = end + 1;
    } else if (char === '"') {
      const quoted = readDoubleQuoted(line, at);
      word = (word ?? '') + quoted.text;
      at = quoted.next;
    } else if (char === '\\' && /["'\\\s]/.test(line[at] ?? '')) {
      word = (word ?? '') + (line[at] ?? '');
      at += 1;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

function readDoubleQuoted(line: string, start: number): { readonly text: string; readonly next: number } {
  let text = '';
  let at = start;
  while (at < line.length) {
    const char = line[at] ?? '';
    const following = line[at + 1] ?? '';
    if (char === '"') return { text, next: at + 1 };
    if (char === '\\' && (following === '"' || following === '\\')) {
      text += following;
      at += 2;
    } else {
      text += char;
      at += 1;
    }
  }
  throw new CommandLineError('a double quote is not closed');
}
