import { ProblemError } from './problems.ts';

/** Nesting that no document of ours comes near. */
const maxDepth = 32;

/** What JSON.parse takes without a word and two readers may understand in two ways. */
interface Frame {
  readonly keys: Set<string> | undefined;
  expectsKey: boolean;
}

function refuse(what: string): never {
  throw new ProblemError(400, 'body-not-json', `the body is not JSON that is taken here: ${what}`);
}

const loneSurrogate = /\p{Surrogate}/u;

/** End of the string literal that begins at `start`, the closing quote included. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at];
    if (character === '\\') at += 1;
    else if (character === '"') return at + 1;
  }
  return refuse('a string does not end');
}

/** Walks over tokens of JSON that `JSON.parse` is then asked about; refuses what is ambiguous or hostile. */
function inspect(text: string): void {
  const frames: Frame[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    const top = frames.at(-1);
    if (character === '{' || character === '[') {
      if (frames.length >= maxDepth) refuse(`it is nested more than ${maxDepth} deep`);
      frames.push({ keys: character === '{' ? new Set() : undefined, expectsKey: character === '{' });
    } else if (character === '}' || character === ']') frames.pop();
    else if (character === ',' && top?.keys !== undefined) top.expectsKey = true;
    else if (character === '"') {
      const end = endOfString(text, at);
      if (top?.keys !== undefined && top.expectsKey) {
        top.expectsKey = false;
        const key = parse(text.slice(at, end)) as string;
        if (key === '__proto__') refuse('the name __proto__ is not taken');
        if (top.keys.has(key)) refuse(`the name ${JSON.stringify(key.slice(0, 64))} stands twice in one object`);
        top.keys.add(key);
      }
      at = end - 1;
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return refuse('it does not parse');
  }
}

function hasLoneSurrogate(value: unknown): boolean {
  if (typeof value === 'string') return loneSurrogate.test(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, item]) => loneSurrogate.test(key) || hasLoneSurrogate(item));
}

/**
 * JSON of a request (RFC 8259), stricter than `JSON.parse`: UTF-8 that decodes, no byte order mark, no name twice in an
 * object, no `__proto__`, no half of a surrogate pair, at most 32 levels.
 *
 * @throws ProblemError 400 `body-not-json` that says which
 */
export function parseStrictJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse('it is not UTF-8');
  }
  if (text.startsWith('\u{feff}')) refuse('it begins with a byte order mark');
  inspect(text);
  const value = parse(text);
  if (hasLoneSurrogate(value)) refuse('a string holds half of a surrogate pair');
  return value;
}
