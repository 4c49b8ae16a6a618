import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * `npm run test:soak -- [--base-image IMAGE] [--engine-base-image IMAGE]`: the long campaigns. Prints the commit, so
 * that a failure can be replayed. The images are built and started with buildah (as root, vfs storage and chroot
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

console.log(`commit ${spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' }).stdout.trim()}`);
const node = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning', 'tools/lab/src/main.ts'];
step('crash campaign over the whole flow', process.execPath, [
  ...node,
  'campaign',
  '--kills',
  valueOf('--kills') ?? '20',
  '--seed',
  valueOf('--seed') ?? String(Date.now() % 1_000_000),
]);
image('xva-batch-gc', valueOf('--base-image'), ['node', '/app/main.js', '--help']);
image('xva-engine', valueOf('--engine-base-image'), ['xva-engine', '--version']);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed === 0 ? 0 : 1;
