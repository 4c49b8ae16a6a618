import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * `npm run cli -- <component> <verb> …`: a component's (or an emulator's) command line from a checkout, against the lab in
 * `.lab` unless `--config` says otherwise.
 */
const root = fileURLToPath(new URL('../../', import.meta.url));
const mains = globSync('{apps/*,tools/*-emulator,tools/sql-server-simulator}/src/main.ts', { cwd: root });
const known = new Map(mains.map((file) => [basename(dirname(dirname(file))), file]));

const [name, ...args] = process.argv.slice(2);
const main = known.get(name ?? '');
const names = [...known.keys()].sort().join(', ');
if (name === '--help' || name === '-h') {
  console.log(`npm run cli -- <name> <verb> …, where <name> is one of: ${names}`);
} else if (main === undefined) {
  console.error(name === undefined ? `name one of: ${names}` : `nothing is called ${name}; there is: ${names}`);
  process.exitCode = 2;
} else {
  const config = join(root, '.lab/config', `${name}.json`);
  const own = main.startsWith('apps') && !args.includes('--config') && existsSync(config) ? ['--config', config] : [];
  const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
  const child = spawnSync(process.execPath, [...flags, join(root, main), ...own, ...args], { stdio: 'inherit' });
  process.exitCode = child.status ?? 1;
}
