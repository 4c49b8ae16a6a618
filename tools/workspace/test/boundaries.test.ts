import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

const forbidden: readonly (readonly [string, string, string])[] = [
  ['a flow reaches for an adapter', 'libs/flow/sweep/src/planted.ts', '@xva/azure-storage'],
  ['a flow reaches for another flow', 'libs/flow/sweep/src/planted.ts', '@xva/flow-submit'],
  ['a flow names an SDK', 'libs/flow/submit/src/planted.ts', '@azure/batch'],
  ['a flow names the SQL client', 'libs/flow/detect/src/planted.ts', 'tedious'],
  ['an adapter reaches for another adapter', 'libs/azure/batch/src/planted.ts', '@xva/azure-storage'],
  ['an adapter names a second SDK', 'libs/azure/storage/src/planted.ts', '@azure/event-hubs'],
  ['an adapter reaches for a flow', 'libs/azure/storage/src/planted.ts', '@xva/flow-sweep'],
  ['contracts reach for the runtime', 'libs/xva-contracts/src/planted.ts', '@xva/runtime'],
  ['contracts name a vendor', 'libs/xva-contracts/src/planted.ts', '@azure/storage-blob'],
  ['the runtime knows XVA', 'libs/runtime/src/planted.ts', '@xva/contracts'],
  ['an emulator uses our code', 'tools/azure-batch-emulator/src/planted.ts', '@xva/contracts'],
  ['an emulator uses our adapter', 'tools/event-hubs-emulator/src/planted.ts', '@xva/azure-event-hubs'],
  ['an app uses the test kit', 'apps/xva-batch-gc/src/planted.ts', '@xva/testkit'],
  ['an app uses an emulator', 'apps/xva-batch-gc/src/planted.ts', 'azure-batch-emulator'],
];
const allowed: readonly (readonly [string, string, string])[] = [
  ['an app uses its flow', 'apps/xva-batch-gc/src/planted.ts', '@xva/flow-sweep'],
  ['an app uses an adapter', 'apps/xva-batch-gc/src/planted.ts', '@xva/azure-storage'],
  ['a flow uses contracts', 'libs/flow/sweep/src/planted.ts', '@xva/contracts'],
  ['an adapter uses its own SDK', 'libs/azure/batch/src/planted.ts', '@azure/batch'],
];

describe('the arrows between rooms', () => {
  const cases = [...forbidden, ...allowed];
  const input = cases.map(([, file, imported]) => ({
    file,
    code: `import * as planted from '${imported}';\nvoid planted;\n`,
  }));
  const run = spawnSync(process.execPath, ['tools/workspace/planted.mjs'], {
    cwd: root,
    input: JSON.stringify(input),
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', NX_DAEMON: 'false' },
  });
  const answers = (run.status === 0 ? JSON.parse(run.stdout.trim().split('\n').at(-1) ?? '') : []) as string[][];

  it('can be asked', () => expect([run.status, run.stderr.slice(-500)]).toEqual([0, expect.any(String)]));

  it.each(forbidden.map(([name], index) => [name, index] as const))('%s: refused', (_name, index) => {
    expect(answers[index]?.join(' ')).toMatch(/can only depend on|not allowed to import|can not depend|banned/);
  });

  it.each(allowed.map(([name], index) => [name, forbidden.length + index] as const))('%s: allowed', (_name, index) => {
    expect(answers[index]).toEqual([]);
  });
});
