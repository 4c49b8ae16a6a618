import type { TaskSpec } from '../src/index.ts';

/** A shard task as the flow makes it, some 600 bytes of JSON. */
export function taskSpec(index: number): TaskSpec {
  const shard = String(index).padStart(7, '0');
  const container = 'https://workaccount.blob.core.windows.net/xva-20260930-rates-1f9c2d7a';
  return {
    id: `shard-${shard}`,
    commandLine: `xva-engine run --package package.json --selection selection-${shard}.json --out out`,
    resourceFiles: [{ httpUrl: `${container}/selections/${shard}.json`, filePath: 'selection.json' }],
    outputFiles: [
      { filePattern: 'out/*', containerUrl: container, path: `shards/${shard}`, condition: 'taskcompletion' },
    ],
    environment: { XVA_RUN_ID: 'xva-20260930-rates-1f9c2d7a', XVA_SHARD: shard },
    requiredSlots: 1,
  };
}

export const specs = (count: number): TaskSpec[] => Array.from({ length: count }, (_, index) => taskSpec(index));
