import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BlockError, blockNames, replaceBlocks } from '../docs/blocks.ts';
import { anchorOf, brokenLinks, linksOf } from '../docs/links.ts';
import { drifted } from '../docs/pages.ts';
import { generateDocs } from '../generate-docs.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

describe('generated files', () => {
  it('say what their sources say now', () => {
    const args = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [...args, join(root, 'tools/workspace/generate-docs.ts'), '--check'],
      { cwd: root, encoding: 'utf8' },
    );
    expect(`${stdout}${stderr}`).toBe('');
    expect(status).toBe(0);
  }, 120_000);

  it('differ when a file is missing or has another text', () => {
    const folder = mkdtempSync(join(tmpdir(), 'xva-docs-'));
    try {
      writeFileSync(join(folder, 'same.md'), 'a');
      writeFileSync(join(folder, 'other.md'), 'a ');
      const files = new Map(['same.md', 'other.md', 'none.md'].map((name) => [name, 'a']));
      expect(drifted(folder, files)).toEqual(['other.md', 'none.md']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are not touched on a wrong call', async () => {
    const said: string[] = [];
    expect(await generateDocs(['--chekc'], (line) => said.push(line))).toBe(2);
    expect(said.join('\n')).toContain('--chekc');
  });

  it('need every component to have its files, by name', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'xva-docs-'));
    try {
      mkdirSync(join(folder, 'apps/xva-new'), { recursive: true });
      mkdirSync(join(folder, 'docs'));
      await expect(generateDocs([], () => undefined, folder)).rejects.toThrow(/config:xva-new/);
      const names = ['exit-codes', 'schemas', 'products', 'config:xva-new', 'help:xva-new'];
      const page = names.map((name) => `<!-- generated:${name} -->\n<!-- /generated -->`).join('\n');
      writeFileSync(join(folder, 'docs/page.md'), page);
      await expect(generateDocs([], () => undefined, folder)).rejects.toThrow('xva-new has no src/config.ts');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('blocks', () => {
  const page = 'before\n<!-- generated:a -->\nold\n<!-- /generated -->\nafter\n';

  it('are replaced, and nothing else is', () => {
    expect(replaceBlocks('p.md', page, () => 'new\n')).toBe(
      'before\n<!-- generated:a -->\n\nnew\n\n<!-- /generated -->\nafter\n',
    );
  });

  it('come out the same when generated twice', () => {
    const once = replaceBlocks('p.md', page, () => 'x\n\ny');
    expect(replaceBlocks('p.md', once, () => 'x\n\ny')).toBe(once);
  });

  it('are refused by page and line when they cannot be told', () => {
    const unclosed = 'a\n<!-- generated:a -->\n';
    expect(() => blockNames('p.md', unclosed)).toThrow('p.md:2: block a is not closed');
    expect(() => blockNames('p.md', `${unclosed}${page}`)).toThrow(BlockError);
    expect(() => blockNames('p.md', '<!-- /generated -->')).toThrow('p.md:1: a block ends');
    expect(() => replaceBlocks('p.md', page, () => undefined)).toThrow('p.md:2: nothing generates a');
  });
});

describe('links', () => {
  it('of every page lead somewhere', () => {
    const pages = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
      cwd: root,
      encoding: 'utf8',
    });
    const broken = pages
      .trim()
      .split('\n')
      .flatMap((page) => brokenLinks(root, page))
      .map(({ page, line, target, problem }) => `${page}:${line} ${target} ${problem}`);
    expect(pages).toContain('README.md');
    expect(broken).toEqual([]);
  });

  it('are read outside code only', () => {
    const text = '[a](b.md) `[no](x.md)`\n```\n[no](y.md)\n```\n![i](<c.png> "t")\n[r]: d.md\n';
    expect(linksOf(text)).toEqual([
      { line: 1, target: 'b.md' },
      { line: 5, target: 'c.png' },
      { line: 6, target: 'd.md' },
    ]);
  });

  it('that are broken are told with place and reason', () => {
    const folder = mkdtempSync(join(tmpdir(), 'xva-links-'));
    try {
      mkdirSync(join(folder, 'docs'));
      writeFileSync(join(folder, 'docs/b.md'), '# One thing\n\n## One thing\n\n```\n# Not a heading\n```\n');
      writeFileSync(
        join(folder, 'docs/a.md'),
        '[ok](b.md#one-thing) [ok](b.md#one-thing-1) [no](b.md#not-a-heading)\n[no](c.md)\n[no](../../x.md)\n[web](https://example.com/#a)\n',
      );
      expect(brokenLinks(folder, 'docs/a.md')).toEqual([
        { page: 'docs/a.md', line: 1, target: 'b.md#not-a-heading', problem: 'has no heading #not-a-heading' },
        { page: 'docs/a.md', line: 2, target: 'c.md', problem: 'is not there' },
        { page: 'docs/a.md', line: 3, target: '../../x.md', problem: 'leads out of the repository' },
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('use the anchors of headings', () => {
    expect(anchorOf('Exit codes of a task')).toBe('exit-codes-of-a-task');
    expect(anchorOf('What can go wrong, and what to do')).toBe('what-can-go-wrong-and-what-to-do');
    expect(anchorOf('Configuração e preços')).toBe('configuração-e-preços');
  });
});
