import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { containing, mainFile, nodeFlags, spawnEmulator, Stack } from './support.ts';

const run = promisify(execFile);
const cli = (...args: string[]): Promise<{ stdout: string }> =>
  run(process.execPath, [...nodeFlags, mainFile, ...args]);

describe('command line', () => {
  const stack = new Stack();
  afterEach(() => stack.close());

  it('serves a Config.json, answers on its control port, and the explorer sends and peeks', async () => {
    const file = join(stack.directory(), 'Config.json');
    const entity = { Name: 'orders', PartitionCount: '2', ConsumerGroups: [{ Name: 'cg1' }] };
    writeFileSync(
      file,
      JSON.stringify({
        UserConfig: {
          NamespaceConfig: [{ Type: 'EventHub', Name: 'ns', Entities: [entity] }],
          LoggingConfig: { Type: 'File' },
        },
      }),
    );
    const emulator = await spawnEmulator(stack, ['--config', file, '--port', '0', '--control-port', '0']);
    const health = await fetch(`${emulator.controlUrl}/health`);
    expect(await health.json()).toEqual({ status: 'healthy', message: 'Service is healthy.' });

    const target = ['--port', String(emulator.port), '--hub', 'orders'];
    await cli('send', ...target, '--partition', '1', '--body', '{"run":"r1"}');
    await cli('send', ...target, '--partition', '1', '--body', 'plain text');
    const { stdout } = await cli('peek', ...target, '--group', 'cg1');
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(lines).toMatchObject([
      { partition: '1', sequenceNumber: 0, offset: '0', body: { run: 'r1' } },
      { partition: '1', sequenceNumber: 1, body: 'plain text' },
    ]);
    const answer = await fetch(`${emulator.controlUrl}/control/hubs`, { method: 'POST' });
    expect(await answer.json()).toMatchObject([
      { name: 'orders', consumerGroups: ['$Default', 'cg1'], partitions: [{ lastSequence: -1 }, { lastSequence: 1 }] },
    ]);
    emulator.child.stdin?.end();
    expect(await emulator.exited).toBe(0);
  });

  it('refuses wrong usage and a faulty file with exit code 2, naming what is wrong', async () => {
    const file = join(stack.directory(), 'Config.json');
    writeFileSync(file, '{"UserConfig":{"NamespaceConfig":[]}}');
    await expect(cli('--config', file)).rejects.toMatchObject({
      code: 2,
      stderr: containing('UserConfig.NamespaceConfig'),
    });
    await expect(cli('--port', '99999')).rejects.toMatchObject({ code: 2, stderr: containing('99999') });
    await expect(cli('frobnicate')).rejects.toMatchObject({ code: 2 });
    expect((await cli('--help')).stdout).toContain('--control-port');
  });
});
