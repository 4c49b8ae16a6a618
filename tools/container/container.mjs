import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { images } from './images.mjs';
import { lintDockerfile, render } from './render.mjs';

/**
 * `node tools/container/container.mjs <image>`: renders and checks the Dockerfile, lays the build context and builds with
 * the first of docker, podman, buildah that works here. Without one it says so; what it rendered is complete.
 */
const root = fileURLToPath(new URL('../../', import.meta.url));
const name = process.argv[2] ?? '';
const image = images[name];
if (image === undefined) throw new Error(`unknown image ${name}; known: ${Object.keys(images).join(', ')}`);

const git = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
const baseImage = process.env['BASE_IMAGE'] ?? image.baseImage;
const version = JSON.parse(readFileSync(`${root}package.json`, 'utf8')).version;
const text = render(readFileSync(`${root}${image.template}`, 'utf8'), {
  name,
  version,
  baseImage,
  revision: git.status === 0 ? git.stdout.trim() : 'unknown',
  // What the image's own template asks for.
  ...image,
});
const faults = lintDockerfile(text);
if (faults.length > 0) throw new Error(`the Dockerfile of ${name} ${faults.join('; ')}`);

const out = `${root}dist/containers/${name}`;
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const { from, to } of image.context(name)) {
  cpSync(`${root}${from}`, `${out}/${to}`, {
    recursive: true,
    filter: (path) => !/__pycache__|\.egg-info|\.map$/.test(path),
  });
}
writeFileSync(`${out}/Dockerfile`, text);
writeFileSync(`${out}/.dockerignore`, 'Dockerfile\n.dockerignore\n');

const tag = `${process.env['IMAGE_REGISTRY'] ?? 'localhost'}/${name}:${process.env['IMAGE_TAG'] ?? version}`;
// For a corporate proxy's certificates and the like: for example `--volume /etc/ssl/certs:/etc/ssl/certs:ro`.
const extraFlags = (process.env['IMAGE_BUILD_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
const builders = [
  { command: 'docker', probe: ['info'], build: ['build', ...extraFlags, '-t', tag, out] },
  { command: 'podman', probe: ['info'], build: ['build', '--format', 'docker', ...extraFlags, '-t', tag, out] },
  { command: 'buildah', probe: ['info'], build: ['build', '--format', 'docker', ...extraFlags, '-t', tag, out] },
];
const builder = builders.find(
  ({ command, probe }) => spawnSync(command, probe, { stdio: 'ignore', timeout: 20_000 }).status === 0,
);
if (builder === undefined) {
  console.log(
    `${name}: rendered and checked in dist/containers/${name}; no docker, podman or buildah here, so no image was built`,
  );
} else {
  execFileSync(builder.command, builder.build, { stdio: 'inherit' });
  writeFileSync(`${out}/image.json`, `${JSON.stringify({ tag, builder: builder.command })}\n`);
  console.log(`${name}: built ${tag} with ${builder.command}`);
}
