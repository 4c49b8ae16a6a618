import { readdir } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { within } from './within.ts';

/** Whether an output file pattern has wildcards: then the destination path is a prefix, otherwise the blob's name. */
export function hasWildcard(pattern: string): boolean {
  return /[*?[]/.test(pattern);
}

/** One position of a pattern. `star`, `deep` and `dirs` may take any number of characters. */
type Token =
  | { readonly kind: 'literal'; readonly char: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] }
  /** Within a segment. */
  | { readonly kind: 'star' }
  /** `**`: across segments. */
  | { readonly kind: 'deep' }
  /** `**` and a slash: whole segments, or none. */
  | { readonly kind: 'dirs' };

/** `a-z_` as ranges; one whose end is before its start holds nothing. */
function rangesOf(inner: readonly string[]): readonly (readonly [string, string])[] {
  const ranges: (readonly [string, string])[] = [];
  for (let at = 0; at < inner.length; at += 1) {
    const first = inner[at] ?? '';
    const last = inner[at + 2];
    if (inner[at + 1] === '-' && last !== undefined) {
      ranges.push([first, last]);
      at += 2;
    } else ranges.push([first, first]);
  }
  return ranges;
}

function tokensOf(pattern: string): readonly Token[] {
  const chars = Array.from(pattern);
  const tokens: Token[] = [];
  let at = 0;
  while (at < chars.length) {
    const char = chars[at] ?? '';
    const close = char === '[' ? chars.indexOf(']', chars[at + 1] === '!' ? at + 3 : at + 2) : -1;
    if (char === '*' && chars[at + 1] === '*') {
      while (chars[at] === '*') at += 1;
      const whole = chars[at] === '/';
      tokens.push({ kind: whole ? 'dirs' : 'deep' });
      if (whole) at += 1;
      continue;
    }
    if (char === '*') tokens.push({ kind: 'star' });
    else if (char === '?') tokens.push({ kind: 'any' });
    else if (close > 0) {
      const negated = chars[at + 1] === '!';
      tokens.push({ kind: 'class', negated, ranges: rangesOf(chars.slice(at + (negated ? 2 : 1), close)) });
      at = close;
    } else tokens.push({ kind: 'literal', char });
    at += 1;
  }
  return tokens;
}

/** Whether a token takes a character; no wildcard takes a leading dot, and only `**` takes a slash. */
function takes(token: Token, char: string, segmentStart: boolean): boolean {
  if (token.kind === 'literal') return token.char === char;
  if (char === '.' && segmentStart) return false;
  if (token.kind === 'deep' || token.kind === 'dirs') return true;
  if (char === '/') return false;
  if (token.kind !== 'class') return true;
  return token.ranges.some(([first, last]) => first <= char && char <= last) !== token.negated;
}

const repeats = (token: Token | undefined): boolean =>
  token?.kind === 'star' || token?.kind === 'deep' || token?.kind === 'dirs';

/**
 * A test of `/`-separated relative paths against a pattern (Batch REST reference, OutputFile.filePattern): `*` and `?`
 * stay within a segment, `**` spans segments, `[..]` and `[!..]` are classes (`[*]` is a star), a leading dot must be
 * named. All positions of the pattern go along the path together: path times pattern at most, whatever the pattern.
 */
export function globMatcher(pattern: string): (path: string) => boolean {
  const tokens = tokensOf(pattern);
  /** Adds a position, and those behind it that are reached without a character. */
  const reach = (positions: Set<number>, position: number, segmentStart: boolean): void => {
    let at = position;
    for (;;) {
      if (positions.has(at)) return;
      positions.add(at);
      const token = tokens[at];
      if (!repeats(token) || (token?.kind === 'dirs' && !segmentStart)) return;
      at += 1;
    }
  };
  return (path) => {
    let positions = new Set<number>();
    reach(positions, 0, true);
    let segmentStart = true;
    for (const char of path) {
      const next = new Set<number>();
      for (const position of positions) {
        const token = tokens[position];
        if (token === undefined || !takes(token, char, segmentStart)) continue;
        reach(next, repeats(token) ? position : position + 1, char === '/');
      }
      if (next.size === 0) return false;
      positions = next;
      segmentStart = char === '/';
    }
    return positions.has(tokens.length);
  };
}

export interface Match {
  /** Absolute path of the file. */
  readonly file: string;
  /** The part below the pattern's last directory without wildcards: what a wildcard's blob name keeps. */
  readonly name: string;
}

/**
 * Files that an output file pattern matches. `pattern` is relative to `directory` and may start with `../`; what lies
 * outside `root` (the task's directory) never matches. Symbolic links are not followed out of it.
 */
export async function findFiles(pattern: string, directory: string, root: string): Promise<readonly Match[]> {
  const segments = pattern.split('/').filter((segment) => segment !== '' && segment !== '.');
  const firstWild = segments.findIndex(hasWildcard);
  const fixed = firstWild < 0 ? segments.slice(0, -1) : segments.slice(0, firstWild);
  const base = resolve(directory, ...fixed);
  const real = await within(root, base);
  if (real === undefined) return [];
  const rest = segments.slice(fixed.length).join('/');
  const matches = globMatcher(rest);
  const deep = rest.includes('/') || rest.includes('**');
  const entries = await readdir(real, { withFileTypes: true, recursive: deep }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ file, name: relative(real, file).split(sep).join('/') }))
    .filter(({ name }) => matches(name))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}
