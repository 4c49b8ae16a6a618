import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

function affectedContainers(file: string): string[] {
  const args = ['show', 'projects', '--affected', `--files=${file}`, '--with-target', 'container', '--json'];
  const run = spawnSync('nx', args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', NX_DAEMON: 'false' },
  });
  return (JSON.parse(run.stdout.trim().split('\n').at(-1) ?? '') as string[]).sort();
}

describe('nx affected touches only what a change reaches', () => {
  it.each([
    ['libs/flow/sweep/src/decide.ts', ['xva-batch-gc']],
    ['libs/flow/detect/src/index.ts', ['xva-db-integrator']],
    ['libs/sql-polling/src/index.ts', ['xva-db-integrator']],
    ['tools/xva-engine/pyproject.toml', ['xva-engine']],
    ['docs/glossary.md', []],
  ])('%s → %p', (file, images) => {
    expect(affectedContainers(file)).toEqual(images);
  });
});
