import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drifted, generatedFiles } from './docs/pages.ts';

const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url));

/**
 * `node tools/workspace/generate-docs.ts [--check]`: fills the generated blocks of `docs/` and writes the OpenAPI
 * documents. With `--check` it writes nothing, names what differs and ends with 1; a wrong call ends with 2.
 */
export async function generateDocs(
  args: readonly string[],
  print: (line: string) => void,
  root = repositoryRoot,
): Promise<number> {
  const wrong = args.filter((arg) => arg !== '--check');
  if (wrong.length > 0) {
    print(`unknown argument ${wrong.join(' ')}; known: --check`);
    return 2;
  }
  const files = await generatedFiles(root);
  const different = drifted(root, files);
  if (args.includes('--check')) {
    for (const path of different) print(`${path} is not what its source says: run npm run generate`);
    return different.length === 0 ? 0 : 1;
  }
  for (const path of different) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), files.get(path) ?? '');
    print(`wrote ${path}`);
  }
  return 0;
}

if (import.meta.main) {
  process.exitCode = await generateDocs(process.argv.slice(2), (line) => process.stdout.write(`${line}\n`)).catch(
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      return 1;
    },
  );
}
