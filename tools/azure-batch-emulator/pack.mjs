import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

/**
 * `node tools/azure-batch-emulator/pack.mjs [FOLDER]` writes the package that `npx azure-batch-emulator` runs: plain
 * JavaScript in two files (the command, and the library that starts it in a process of one's own), with everything that
 * they need inside, so that it depends on nothing but Node. Then `npm pack FOLDER` or `npm publish FOLDER`.
 */
const here = import.meta.dirname;
const folder = resolve(process.argv[2] ?? join(here, '../../dist/packages/azure-batch-emulator'));
const source = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));

mkdirSync(folder, { recursive: true });
const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  conditions: ['@xva/source'],
  legalComments: 'none',
  logLevel: 'error',
};
await build({
  ...common,
  entryPoints: [join(here, 'src/main.ts')],
  outfile: join(folder, 'azure-batch-emulator.mjs'),
  banner: { js: '#!/usr/bin/env node' },
});
await build({ ...common, entryPoints: [join(here, 'src/index.ts')], outfile: join(folder, 'index.mjs') });
const licence = readFileSync(join(here, '../../node_modules/zod/LICENSE'), 'utf8');
writeFileSync(join(folder, 'THIRD-PARTY.txt'), `This package contains zod.\n\n${licence}`);
copyFileSync(join(here, 'README.md'), join(folder, 'README.md'));
const manifest = {
  name: source.name,
  version: source.version,
  description: 'The data plane of Azure Batch on one machine, tasks as processes: for development and tests',
  license: source.license,
  type: 'module',
  engines: { node: '>=24' },
  bin: { 'azure-batch-emulator': 'azure-batch-emulator.mjs' },
  exports: { '.': './index.mjs' },
  files: ['*.mjs', 'THIRD-PARTY.txt', 'README.md'],
};
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
process.stdout.write(`${folder}\n`);
