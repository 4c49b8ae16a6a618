import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** `node tools/container/push.mjs <image>`: pushes what `container` built; never cached, since it acts on the outside. */
const name = process.argv[2] ?? '';
const file = fileURLToPath(new URL(`../../dist/containers/${name}/image.json`, import.meta.url));
if (!existsSync(file))
  throw new Error(`no image of ${name} was built here: run nx container ${name} where docker, podman or buildah works`);
const { tag, builder } = JSON.parse(readFileSync(file, 'utf8'));
if (tag.startsWith('localhost/'))
  throw new Error('set IMAGE_REGISTRY (for example myregistry.azurecr.io) before building and pushing');
execFileSync(builder, ['push', tag], { stdio: 'inherit' });
