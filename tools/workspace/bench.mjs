import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `npm run bench -- <name> …`: runs the one `bench/<name>.bench.ts` of any room; without a name it lists them. */
const root = fileURLToPath(new URL('../../', import.meta.url));
const files = globSync('{apps,libs,tools}/**/bench/*.bench.ts', {
  cwd: root,
  exclude: (name) => name === 'node_modules' || name === 'dist',
});
const benches = new Map(files.map((file) => [basename(file, '.bench.ts'), file]));
if (benches.size < files.length) throw new Error(`two benchmarks have one name: ${files.sort().join(', ')}`);
benches.set('pipeline', 'tools/lab/src/main.ts');

const [name, ...args] = process.argv.slice(2);
const file = benches.get(name ?? '');
if (file === undefined) {
  const known = [...benches.keys()].sort().join(', ');
  console.error(name === undefined ? `name one of: ${known}` : `no benchmark is called ${name}; there are: ${known}`);
  process.exitCode = 2;
} else {
  const verb = name === 'pipeline' ? ['bench', 'pipeline'] : [];
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning', '--expose-gc'];
  const child = spawnSync(process.execPath, [...flags, join(root, file), ...verb, ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  process.exitCode = child.status ?? 1;
}
