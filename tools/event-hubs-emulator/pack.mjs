import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

/**
 * `node tools/event-hubs-emulator/pack.mjs [FOLDER]` writes the package that `npx event-hubs-emulator` runs: plain
 * JavaScript in one file, with everything that it needs inside, so that it depends on nothing but Node. Then
 * `npm pack FOLDER` or `npm publish FOLDER`.
 */
const here = import.meta.dirname;
const folder = resolve(process.argv[2] ?? join(here, '../../dist/packages/event-hubs-emulator'));
const source = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));

mkdirSync(folder, { recursive: true });
await build({
  entryPoints: [join(here, 'src/main.ts')],
  outfile: join(folder, 'event-hubs-emulator.mjs'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  conditions: ['@xva/source'],
  // The libraries inside that are CommonJS ask for Node's own modules by `require`.
  banner: {
    js: `#!/usr/bin/env node
import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url);`,
  },
  legalComments: 'linked',
  logLevel: 'error',
});
copyFileSync(join(here, 'README.md'), join(folder, 'README.md'));
const manifest = {
  name: source.name,
  version: source.version,
  description: 'Azure Event Hubs on one machine, over AMQP 1.0, durable: for development and tests',
  license: source.license,
  type: 'module',
  engines: { node: '>=24' },
  bin: { 'event-hubs-emulator': 'event-hubs-emulator.mjs' },
  files: ['event-hubs-emulator.mjs', 'event-hubs-emulator.mjs.LEGAL.txt', 'README.md'],
};
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
process.stdout.write(`${folder}\n`);
