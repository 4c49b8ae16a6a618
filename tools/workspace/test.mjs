import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `npm test`: everything once. Ends with the plain line `N passed, N failed`; a check (lint, types) counts as one test. */
const root = fileURLToPath(new URL('../../', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'xva-test-'));
const jestEnv = { NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning' };
const totals = { passed: 0, failed: 0, skipped: 0 };

function start(name, command, args, { cwd = root, env = {} } = {}) {
  const started = Date.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env, FORCE_COLOR: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.once('error', (error) => resolve({ name, ok: false, output: String(error), seconds: 0 }));
    child.once('close', (code) => {
      const seconds = (Date.now() - started) / 1000;
      const ok = code === 0;
      console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} (${seconds.toFixed(1)} s)`);
      if (!ok) console.log(output.slice(-20_000));
      resolve({ name, ok, output, seconds });
    });
  });
}

async function check(name, command, args, options) {
  const { ok } = await start(name, command, args, options);
  totals[ok ? 'passed' : 'failed'] += 1;
}

async function pytest() {
  const report = join(scratch, 'pytest.xml');
  const { ok } = await start('pytest', '../../.venv/bin/pytest', ['-n', '2', `--junitxml=${report}`], {
    cwd: join(root, 'tools/xva-engine'),
  });
  let counted = 0;
  try {
    const suite = /<testsuite [^>]*>/.exec(readFileSync(report, 'utf8'))?.[0] ?? '';
    const read = (name) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
    const failed = read('failures') + read('errors');
    counted = read('tests');
    totals.failed += failed;
    totals.skipped += read('skipped');
    totals.passed += counted - failed - read('skipped');
    if (!ok && failed === 0) totals.failed += 1;
  } catch {
    totals.failed += 1;
  }
  if (counted === 0) totals.failed += 1;
}

async function jest(name, args) {
  const report = join(scratch, `jest-${name}.json`);
  const { ok } = await start(`jest: ${name}`, 'jest', [...args, '--json', `--outputFile=${report}`, '--silent=false'], {
    env: jestEnv,
  });
  try {
    const result = JSON.parse(readFileSync(report, 'utf8'));
    totals.passed += result.numPassedTests;
    totals.skipped += result.numPendingTests;
    totals.failed += result.numFailedTests + result.numRuntimeErrorTestSuites;
    if (!ok && result.numFailedTests + result.numRuntimeErrorTestSuites === 0) totals.failed += 1;
    if (result.numTotalTests === 0) totals.failed += 1;
  } catch {
    totals.failed += 1;
  }
}

const tsc = join(root, 'node_modules/@typescript/native/bin/tsc');
const typescriptLane = async () => {
  await check('format', 'prettier', ['--check', '.']);
  await check('typecheck', process.execPath, [tsc, '-p', 'tsconfig.json']);
  await check('lint', 'eslint', ['.', '--max-warnings=0']);
};
const pythonLane = async () => {
  await check('ruff', '.venv/bin/ruff', ['check', 'tools/xva-engine']);
  await check('ruff format', '.venv/bin/ruff', ['format', '--check', 'tools/xva-engine']);
  await check('mypy', '../../.venv/bin/mypy', [], { cwd: join(root, 'tools/xva-engine') });
  await pytest();
};

try {
  await Promise.all([typescriptLane(), pythonLane()]);
  await jest('rooms', ['--maxWorkers=2', '--testPathIgnorePatterns=/tools/lab/']);
  await jest('the whole flow', ['--runInBand', '-c', 'tools/lab/jest.config.mjs']);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (totals.passed === 0) totals.failed += 1;
const skipped = totals.skipped === 0 ? '' : `, ${totals.skipped} skipped`;
console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
process.exitCode = totals.failed === 0 ? 0 : 1;
