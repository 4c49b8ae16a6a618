import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { clientFor, completed, ended } from './helpers.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'batch-package-'));
const made = join(folder, 'made');
const used = mkdtempSync(join(folder, 'used-'));
const environment = { PATH: process.env['PATH'], HOME: folder, npm_config_update_notifier: 'false' };
const npm = (directory: string, ...args: string[]): Promise<{ stdout: string }> =>
  run('npm', args, { cwd: directory, env: environment });

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the package', () => {
  it('packs, installs without a registry, and runs as `npx azure-batch-emulator --data DIR --port N`', async () => {
    await run(process.execPath, [join(import.meta.dirname, '../pack.mjs'), made], {
      env: { PATH: process.env['PATH'] },
    });
    const packed = JSON.parse((await npm(made, 'pack', '--json')).stdout) as {
      filename: string;
      files: { path: string }[];
    }[];
    const files = ['README.md', 'THIRD-PARTY.txt', 'azure-batch-emulator.mjs', 'index.mjs', 'package.json'];
    expect(packed[0]?.files.map(({ path }) => path).sort()).toEqual(files);
    writeFileSync(join(used, 'package.json'), '{}');
    await npm(used, 'install', '--offline', '--no-audit', '--no-fund', join(made, packed[0]?.filename ?? ''));
    const { stdout } = await npm(used, 'exec', '--offline', '--', 'azure-batch-emulator', '--help');
    expect(stdout).toContain('--data DIR');

    const args = ['exec', '--offline', '--', 'azure-batch-emulator', '--data', join(folder, 'data'), '--port', '0'];
    const child = spawn('npm', [...args, '--exit-with-parent'], {
      cwd: used,
      env: environment,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      const line = await firstLine(child.stdout);
      const client = clientFor((JSON.parse(line) as { endpoints: { batch: string } }).endpoints.batch);
      await client.pool.add({ id: 'pool', vmSize: 'lab', targetDedicatedNodes: 1 });
      await client.job.add({ id: 'job', poolInfo: { poolId: 'pool' } });
      await client.task.add('job', { id: 'task', commandLine: '/bin/true' });
      expect((await completed(client, 'job', 'task')).executionInfo?.exitCode).toBe(0);
    } finally {
      child.stdin.end();
      await ended(child);
    }
    const library = `import { startBatchEmulator } from 'azure-batch-emulator';
      const emulator = await startBatchEmulator(); console.log(Object.keys(emulator.endpoints).join()); await emulator.stop();`;
    writeFileSync(join(used, 'library.mjs'), library);
    expect((await run(process.execPath, ['library.mjs'], { cwd: used, env: environment })).stdout.trim()).toBe(
      'batch,control',
    );
  });
});

async function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: stream })) return line;
  return '';
}
