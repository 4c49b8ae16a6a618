import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * `node tools/bootstrap.mjs <setup|demo|lab|cli|test|soak|bench|generate|input-api:conformance> …`: installs what is missing (npm packages, the
 * Python environment), then runs the command on the Node that npm installed. Needs nothing but Node 20 or newer, npm
 * and Python 3.11 to 3.13. A stamp of the lock files makes the second run immediate.
 */
const root = fileURLToPath(new URL('../', import.meta.url));
const isWindows = process.platform === 'win32';
const venv = join(root, '.venv');
const venvPython = join(venv, isWindows ? 'Scripts/python.exe' : 'bin/python');

function fail(message) {
  console.error(`\n${message}`);
  process.exit(1);
}

function run(command, args, why) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], shell: isWindows });
  if (result.error !== undefined) fail(`${why}: ${command} cannot be started (${result.error.message})`);
  if (result.status !== 0) fail(`${why}: ${command} ${args.join(' ')} ended with ${result.status ?? result.signal}`);
}

function stampOf(files, salt) {
  const hash = createHash('sha256').update(salt);
  for (const file of files) hash.update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

function once(stampFile, stamp, what, act) {
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  const started = Date.now();
  console.log(`setting up ${what} …`);
  act();
  writeFileSync(stampFile, stamp);
  console.log(`${what}: ready after ${Math.round((Date.now() - started) / 1000)} s`);
}

function setUpNode() {
  const stamp = stampOf(['package.json', 'package-lock.json'], 'npm');
  once(join(root, 'node_modules/.xva-stamp'), stamp, 'npm packages', () => {
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], 'npm packages');
  });
}

function findPython() {
  for (const name of ['python3.11', 'python3.12', 'python3.13', 'python3', 'python']) {
    const probe = spawnSync(name, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], { encoding: 'utf8' });
    if (probe.status === 0 && ['3.11', '3.12', '3.13'].includes(probe.stdout.trim())) return name;
  }
  return fail('Python 3.11, 3.12 or 3.13 is needed for the engine; none was found on PATH');
}

function makeVenv(python) {
  rmSync(venv, { recursive: true, force: true });
  if (spawnSync(python, ['-m', 'venv', venv], { stdio: 'ignore' }).status === 0) return;
  run(python, ['-m', 'venv', '--clear', '--without-pip', venv], 'Python environment');
  const pip = spawnSync(python, ['-m', 'pip', '--python', venvPython, 'install', '-q', 'pip'], { stdio: 'inherit' });
  if (pip.status !== 0)
    fail('Python has neither ensurepip nor pip: install python3-venv (Debian: apt-get install python3-venv)');
}

function setUpPython() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    fail(
      `the engine's wheel exists for x86_64 Linux only, and this is ${process.platform} ${process.arch}: ` +
        'use WSL on Windows, or the devcontainer (.devcontainer) elsewhere',
    );
  }
  const locks = ['tools/xva-engine/requirements-dev.lock', 'tools/xva-engine/pyproject.toml'];
  const stampFile = join(venv, '.xva-stamp');
  const python = existsSync(stampFile) ? venvPython : findPython();
  once(stampFile, stampOf(locks, root), 'Python environment', () => {
    makeVenv(findPython());
    const quiet = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--root-user-action=ignore'];
    run(venvPython, [...quiet, '--require-hashes', '-r', locks[0]], 'Python packages');
    run(venvPython, [...quiet, '--no-deps', '--no-build-isolation', '-e', 'tools/xva-engine'], 'xva-engine');
  });
  return python;
}

/**
 * Clients in another language that the tests and benchmarks drive the emulators and services with. Two majors of one
 * package cannot share an environment, so each set lies in a folder of its own, to be put on PYTHONPATH.
 */
async function setUpPythonClients() {
  const folder = 'tools/workspace/python-clients';
  const locks = readdirSync(join(root, folder)).filter((file) => file.endsWith('.lock'));
  const install = (lock) =>
    new Promise((resolve) => {
      const target = join(venv, 'clients', lock.replace(/\.lock$/, ''));
      rmSync(target, { recursive: true, force: true });
      const args = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--root-user-action=ignore'];
      const child = spawn(venvPython, [...args, '--target', target, '--require-hashes', '-r', join(folder, lock)], {
        cwd: root,
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      child.once('error', () => resolve(lock));
      child.once('close', (code) => resolve(code === 0 ? undefined : lock));
    });
  const stamp = stampOf(
    locks.map((lock) => join(folder, lock)),
    root,
  );
  const stampFile = join(venv, '.xva-clients-stamp');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  const started = Date.now();
  console.log('setting up Python clients …');
  const failed = (await Promise.all(locks.map(install))).filter((lock) => lock !== undefined);
  if (failed.length > 0) fail(`Python clients: ${failed.join(', ')} could not be installed`);
  writeFileSync(stampFile, stamp);
  console.log(`Python clients: ready after ${Math.round((Date.now() - started) / 1000)} s`);
}

const conditions = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning'];
const commands = {
  setup: undefined,
  demo: [...conditions, 'tools/lab/src/main.ts', 'demo'],
  lab: [...conditions, 'tools/lab/src/main.ts'],
  test: ['tools/workspace/test.mjs'],
  soak: ['tools/workspace/soak.mjs'],
  bench: ['tools/workspace/bench.mjs'],
  cli: ['tools/workspace/cli.mjs'],
  generate: ['tools/workspace/generate.mjs'],
  'input-api:conformance': [...conditions, 'apps/xva-file-event-controller/src/conformance/main.ts'],
};

const [command = 'setup', ...args] = process.argv.slice(2);
if (!(command in commands)) fail(`unknown command ${command}; known: ${Object.keys(commands).join(', ')}`);
mkdirSync(join(root, 'node_modules'), { recursive: true });
setUpNode();
setUpPython();
if (['test', 'soak', 'bench'].includes(command)) await setUpPythonClients();
const target = commands[command];
if (target !== undefined) {
  const node = join(root, 'node_modules/node/bin/node');
  if (!existsSync(node)) {
    fail(
      'npm did not install its Node 24 (an install script was blocked): run npm install-scripts approve node, then npm ci',
    );
  }
  const path = [join(root, 'node_modules/.bin'), join(venv, 'bin'), process.env['PATH'] ?? ''].join(delimiter);
  const child = spawnSync(node, [...target, ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: path, NX_DAEMON: 'false' },
  });
  process.exitCode = child.status ?? 1;
}
