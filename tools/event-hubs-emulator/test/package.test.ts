import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Stack } from './support.ts';

const run = promisify(execFile);

describe('the package', () => {
  const stack = new Stack();
  afterEach(() => stack.close());

  it('packs, installs without a registry, and runs as `npx event-hubs-emulator`', async () => {
    const [made, used] = [stack.directory(), stack.directory()];
    await run(process.execPath, [join(import.meta.dirname, '../pack.mjs'), made], {
      env: { PATH: process.env['PATH'] },
    });
    const npm = (folder: string, ...args: string[]): Promise<{ stdout: string }> =>
      run('npm', args, {
        cwd: folder,
        env: { PATH: process.env['PATH'], HOME: used, npm_config_update_notifier: 'false' },
      });
    const packed = JSON.parse((await npm(made, 'pack', '--json')).stdout) as {
      filename: string;
      files: { path: string }[];
    }[];
    expect(packed[0]!.files.map(({ path }) => path).sort()).toEqual([
      'README.md',
      'event-hubs-emulator.mjs',
      'event-hubs-emulator.mjs.LEGAL.txt',
      'package.json',
    ]);
    writeFileSync(join(used, 'package.json'), '{}');
    await npm(used, 'install', '--offline', '--no-audit', '--no-fund', join(made, packed[0]!.filename));
    const { stdout } = await npm(used, 'exec', '--offline', '--', 'event-hubs-emulator', '--help');
    expect(stdout).toContain('serve Event Hubs over AMQP 1.0');
  });
});
