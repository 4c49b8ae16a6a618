import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

export interface BrokenLink {
  readonly page: string;
  readonly line: number;
  readonly target: string;
  readonly problem: string;
}

interface Line {
  readonly number: number;
  readonly text: string;
}

/** The lines outside fenced code, code spans blanked. */
function proseOf(text: string): readonly Line[] {
  let fence: string | undefined;
  return text.split('\n').flatMap((line, index) => {
    const mark = /^\s*(```+|~~~+)/.exec(line)?.[1];
    if (mark !== undefined && (fence === undefined || mark.startsWith(fence))) {
      fence = fence === undefined ? mark : undefined;
      return [];
    }
    return fence === undefined ? [{ number: index + 1, text: line.replaceAll(/`[^`]*`/g, '') }] : [];
  });
}

/** The anchor that GitHub gives a heading: lower case, no punctuation, hyphens for blanks. */
export function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

function anchorsOf(text: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  let fenced = false;
  for (const line of text.split('\n')) {
    if (/^\s*(```|~~~)/.test(line)) fenced = !fenced;
    const heading = fenced ? undefined : /^#{1,6} (.+)$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const anchor = anchorOf(heading.replaceAll('`', ''));
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    anchors.add(before === 0 ? anchor : `${anchor}-${before}`);
  }
  return anchors;
}

/** Targets of the inline links and images, and of the reference definitions, of a Markdown text. */
export function linksOf(text: string): readonly { readonly line: number; readonly target: string }[] {
  return proseOf(text).flatMap(({ number, text: line }) => {
    const inline = [...line.matchAll(/\]\(<?([^)>\s]+)>?(?:\s+"[^"]*")?\)/g)];
    const defined = [...line.matchAll(/^\[[^\]]+\]:\s+<?(\S+?)>?(?:\s|$)/g)];
    return [...inline, ...defined].map((match) => ({ line: number, target: match[1] ?? '' }));
  });
}

/** Links of a page into the repository that lead nowhere: a file that is not there, a heading that is not in it. */
export function brokenLinks(root: string, page: string): readonly BrokenLink[] {
  const text = readFileSync(join(root, page), 'utf8');
  return linksOf(text).flatMap(({ line, target }): BrokenLink[] => {
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    const broken = (problem: string): BrokenLink[] => [{ page, line, target, problem }];
    const file = path === '' ? join(root, page) : resolve(root, dirname(page), decodeURIComponent(path));
    if (relative(root, file).startsWith('..')) return broken('leads out of the repository');
    if (!existsSync(file)) return broken('is not there');
    if (anchor === undefined) return [];
    if (!file.endsWith('.md') || statSync(file).isDirectory()) return broken('has no headings');
    return anchorsOf(readFileSync(file, 'utf8')).has(anchor) ? [] : broken(`has no heading #${anchor}`);
  });
}
