import { readdir } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';

/** Whether an output file pattern has wildcards: then the destination path is a prefix, otherwise the blob's name. */
export function hasWildcard(pattern: string): boolean {
  return /[*?[]/.test(pattern);
}

/**
 * A pattern segment path as a regular expression over `/`-separated relative paths: `*` and `?` stay within a segment,
 * `**` spans segments, `[..]` and `[!..]` are classes; no wildcard matches a leading dot.
 */
export function globExpression(pattern: string): RegExp {
  let source = '';
  let at = 0;
  let atSegmentStart = true;
  while (at < pattern.length) {
    const char = pattern[at] ?? '';
    const guard = atSegmentStart ? '(?!\\.)' : '';
    atSegmentStart = false;
    if (pattern.startsWith('**/', at)) {
      source += '(?:(?!\\.)[^/]+/)*';
      at += 3;
      atSegmentStart = true;
    } else if (pattern.startsWith('**', at)) {
      source += '(?:(?!\\.)[^/]+/)*(?!\\.)[^/]+';
      at += 2;
    } else if (char === '*') {
      source += `${guard}[^/]*`;
      at += 1;
    } else if (char === '?') {
      source += `${guard}[^/]`;
      at += 1;
    } else if (char === '[' && pattern.indexOf(']', at + 2) > 0) {
      const end = pattern.indexOf(']', at + 2);
      const inner = pattern
        .slice(at + 1, end)
        .replaceAll('\\', '\\\\')
        .replaceAll('[', '\\[');
      source += `${guard}[${inner.startsWith('!') ? `^/${inner.slice(1)}` : inner.replace(/^\^/, '\\^')}]`;
      at = end + 1;
    } else {
      source += char.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      atSegmentStart = char === '/';
      at += 1;
    }
  }
  return new RegExp(`^${source}$`);
}

export interface Match {
  /** Absolute path of the file. */
  readonly file: string;
  /** The part below the pattern's last directory without wildcards: what a wildcard's blob name keeps. */
  readonly name: string;
}

/**
 * Files that an output file pattern matches. `pattern` is relative to `directory` and may start with `../`; what lies
 * outside `root` (the task's directory) never matches. Symbolic links are not followed.
 */
export async function findFiles(pattern: string, directory: string, root: string): Promise<readonly Match[]> {
  const segments = pattern.split('/').filter((segment) => segment !== '' && segment !== '.');
  const firstWild = segments.findIndex(hasWildcard);
  const fixed = firstWild < 0 ? segments.slice(0, -1) : segments.slice(0, firstWild);
  const base = resolve(directory, ...fixed);
  if (base !== root && !base.startsWith(root + sep)) return [];
  const rest = segments.slice(fixed.length).join('/');
  const expression = globExpression(rest);
  const deep = rest.includes('/') || rest.includes('**');
  const entries = await readdir(base, { withFileTypes: true, recursive: deep }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ file, name: relative(base, file).split(sep).join('/') }))
    .filter(({ name }) => expression.test(name))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}
