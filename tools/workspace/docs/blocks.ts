/** A page's generated blocks cannot be told: a marker without its end, or a name that nothing generates. */
export class BlockError extends Error {
  override readonly name = 'BlockError';

  constructor(page: string, line: number, problem: string) {
    super(`${page}:${line}: ${problem}`);
  }
}

const opening = /^<!-- generated:(\S+) -->$/;
const closing = '<!-- /generated -->';

/** Names of the generated blocks of a page, in order. @throws BlockError */
export function blockNames(page: string, text: string): readonly string[] {
  const names: string[] = [];
  replaceBlocks(page, text, (name) => {
    names.push(name);
    return '';
  });
  return names;
}

/**
 * Replaces what stands between `<!-- generated:NAME -->` and `<!-- /generated -->`, each on a line of its own, by what
 * `render` gives for the name. Everything else stays as it is, to the byte.
 *
 * @param render the block's Markdown; undefined for a name that it does not know
 * @throws BlockError naming page and line
 */
export function replaceBlocks(page: string, text: string, render: (name: string) => string | undefined): string {
  const out: string[] = [];
  let open: { name: string; line: number } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const name = opening.exec(line)?.[1];
    if (name !== undefined) {
      if (open !== undefined) throw new BlockError(page, open.line, `block ${open.name} is not closed before ${name}`);
      const body = render(name);
      if (body === undefined) throw new BlockError(page, index + 1, `nothing generates ${name}`);
      open = { name, line: index + 1 };
      out.push(line, '', body.trim(), '');
    } else if (line === closing) {
      if (open === undefined) throw new BlockError(page, index + 1, 'a block ends that did not begin');
      open = undefined;
      out.push(line);
    } else if (open === undefined) {
      out.push(line);
    }
  }
  if (open !== undefined) throw new BlockError(page, open.line, `block ${open.name} is not closed`);
  return out.join('\n');
}
