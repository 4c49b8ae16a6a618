import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BlockError, blockNames, replaceBlocks } from './blocks.ts';
import { ComponentError, componentNames, controllerOpenApi, helpMarkdown, settingsMarkdown } from './components.ts';
import { inputApiOpenApi, productsMarkdown } from './engine.ts';
import { exitCodesMarkdown, schemasMarkdown } from './tables.ts';

type Render = (root: string) => string | Promise<string>;

function renderers(root: string): ReadonlyMap<string, Render> {
  const fixed: [string, Render][] = [
    ['exit-codes', exitCodesMarkdown],
    ['schemas', schemasMarkdown],
    ['products', productsMarkdown],
  ];
  const perComponent = componentNames(root).flatMap((name): [string, Render][] => [
    [`config:${name}`, () => settingsMarkdown(root, name)],
    [`help:${name}`, () => helpMarkdown(root, name)],
  ]);
  return new Map([...perComponent, ...fixed]);
}

function markdownBelow(root: string): readonly string[] {
  return readdirSync(join(root, 'docs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

/**
 * Every generated file with the text that it should have, by its path in the repository: the pages of `docs/` with their
 * blocks filled, and the OpenAPI documents.
 *
 * @throws BlockError, ComponentError: a component without a page, a page that lacks its component's blocks.
 */
export async function generatedFiles(root: string): Promise<ReadonlyMap<string, string>> {
  const known = renderers(root);
  const pages = markdownBelow(root).map((page) => ({ page, text: readFileSync(join(root, page), 'utf8') }));
  const used = new Set(pages.flatMap(({ page, text }) => blocksOf(page, text, known)));
  const missing = [...known.keys()].filter((name) => !used.has(name));
  if (missing.length > 0) throw new ComponentError(`no page of docs/ has the block ${missing.join(', ')}`);
  const bodies = new Map(
    await Promise.all([...known].map(async ([name, render]) => [name, await render(root)] as const)),
  );
  const files = new Map(pages.map(({ page, text }) => [page, replaceBlocks(page, text, (name) => bodies.get(name))]));
  files.set('docs/openapi/controller.json', await controllerOpenApi(root));
  files.set('docs/openapi/input-api.json', await inputApiOpenApi(root));
  return files;
}

function blocksOf(page: string, text: string, known: ReadonlyMap<string, Render>): readonly string[] {
  const names = blockNames(page, text);
  const stranger = names.find((name) => !known.has(name));
  if (stranger !== undefined) throw new BlockError(page, 1, `nothing generates ${stranger}`);
  return names;
}

/** Paths whose file is missing or has another text. */
export function drifted(root: string, files: ReadonlyMap<string, string>): readonly string[] {
  return [...files].filter(([path, text]) => textOf(join(root, path)) !== text).map(([path]) => path);
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
