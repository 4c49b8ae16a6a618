import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * `npm run test:soak -- [--seed N] [--only NAME,…] [--kills N] [--base-image IMAGE] [--engine-base-image IMAGE]`: the
 * long campaigns: that over the whole flow, and every room's `soak/<name>.soak.ts` (a program that takes `--seed N`,
 * ends with 1 on a broken promise and prints what it tried). Prints commit and seed, so that a failure can be replayed. The images are built and started with buildah (as root, vfs storage and chroot
 * isolation, no daemon) where it is installed and base images are given; else that part says that it was skipped.
 */
const root = fileURLToPath(new URL('../../', import.meta.url));
const args = process.argv.slice(2);
const valueOf = (flag) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined);
const totals = { passed: 0, failed: 0, skipped: 0 };

function step(name, command, commandArgs, env = {}) {
  const started = Date.now();
  const result = spawnSync(command, commandArgs, { cwd: root, env: { ...process.env, ...env }, stdio: 'inherit' });
  const ok = result.status === 0;
  totals[ok ? 'passed' : 'failed'] += 1;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} (${Math.round((Date.now() - started) / 1000)} s)`);
  return ok;
}

const buildah = { STORAGE_DRIVER: 'vfs', BUILDAH_ISOLATION: 'chroot' };

function image(name, baseImage, command) {
  if (spawnSync('buildah', ['--version'], { stdio: 'ignore' }).status !== 0 || baseImage === undefined) {
    totals.skipped += 1;
    console.log(`skip image ${name}: needs buildah and --base-image / --engine-base-image`);
    return;
  }
  const env = { ...buildah, BASE_IMAGE: baseImage, IMAGE_TAG: 'soak' };
  if (!step(`image ${name}`, 'nx', ['container', name, '--skip-nx-cache'], env)) return;
  const from = spawnSync('buildah', ['from', `localhost/${name}:soak`], {
    encoding: 'utf8',
    env: { ...process.env, ...buildah },
  });
  const container = from.stdout.trim();
  step(`${name} starts`, 'buildah', ['run', '--user', '10001:10001', container, '--', ...command], buildah);
  spawnSync('buildah', ['rm', container], { env: { ...process.env, ...buildah } });
}

const seed = valueOf('--seed') ?? String(Date.now() % 1_000_000);
const only = valueOf('--only')?.split(',');
const wanted = (name) => only === undefined || only.includes(name);
const flags = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning', '--expose-gc'];

console.log(
  `commit ${spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' }).stdout.trim()}, seed ${seed}`,
);
if (wanted('campaign')) {
  const kills = valueOf('--kills') ?? '20';
  const campaign = [...flags, 'tools/lab/src/main.ts', 'campaign', '--kills', kills, '--seed', seed];
  step('crash campaign over the whole flow', process.execPath, campaign);
}
const inRooms = globSync('{apps,libs,tools}/**/soak/*.soak.ts', {
  cwd: root,
  exclude: (name) => name === 'node_modules' || name === 'dist',
});
for (const file of inRooms.sort()) {
  const name = basename(file, '.soak.ts');
  if (wanted(name)) step(file, process.execPath, [...flags, file, '--seed', seed]);
}
if (wanted('images')) {
  image('xva-batch-gc', valueOf('--base-image'), ['node', '/app/main.js', '--help']);
  image('xva-engine', valueOf('--engine-base-image'), ['xva-engine', '--version']);
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed === 0 ? 0 : 1;
