import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * Random books through the generator and the engine, and 2,000 random requests through the generator alone: whatever is
 * packaged runs without a word in the engine's log, whatever is not is refused by name.
 *
 * `--seed N` picks the books, `--count M` how many (default 400).
 */
const room = fileURLToPath(new URL('..', import.meta.url));
const python = fileURLToPath(new URL('../../../.venv/bin/python', import.meta.url));
const valueOf = (flag: string, otherwise: string): string => {
  const place = process.argv.indexOf(flag);
  return place < 0 ? otherwise : (process.argv[place + 1] ?? otherwise);
};
const seed = valueOf('--seed', '1');
const runs = [
  ['-m', 'tests.generate.engine_soak', '--seed', seed, '--count', valueOf('--count', '400')],
  ['-m', 'pytest', '-q', `--hypothesis-seed=${seed}`, 'tests/generate/test_properties.py'],
];
for (const args of runs) {
  const { status } = spawnSync(python, args, {
    cwd: room,
    stdio: 'inherit',
    env: { ...process.env, XVA_PROPERTY_EXAMPLES: '2000' },
  });
  if (status !== 0) process.exitCode = 1;
}
