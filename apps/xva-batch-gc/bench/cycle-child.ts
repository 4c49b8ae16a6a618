import { BatchAdapter } from '@xva/azure-batch';
import { createSweepBatch } from '../src/batch-port.ts';
import { benchPolicy, scratchRule, storageDeps, timedCycle } from './rig.ts';

/** One cycle in a process of its own, so that its memory can be told: `blobs CONNECTION` or `batch CONNECTION URL ACCOUNT KEY`. */
const [what, connection = '', endpoint = '', accountName = '', accountKey = ''] = process.argv.slice(2);
const base = process.memoryUsage.rss();
let peak = 0;
let held = 0;
let ticks = 0;
const timer = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss());
  ticks += 1;
  if (ticks % 40 !== 0) return;
  // What is still needed, not what was not collected yet.
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  held = Math.max(held, heapUsed + external);
}, 50);
const rule = { retainSeconds: 0 };
const took =
  what === 'blobs'
    ? await timedCycle(storageDeps(connection), benchPolicy('off', {}, [scratchRule]))
    : await timedCycle(
        storageDeps(connection, createSweepBatch(new BatchAdapter({ endpoint, accountName, accountKey }))),
        benchPolicy('off', { orphanedRuns: rule, blockedTasks: rule, silentTasks: rule, lostNodeTasks: rule }),
      );
clearInterval(timer);
peak = Math.max(peak, process.memoryUsage.rss());
console.log(
  JSON.stringify({
    ...took,
    peakMb: peak / 2 ** 20,
    baseMb: base / 2 ** 20,
    heldMb: held / 2 ** 20,
    cpuMs: process.cpuUsage().user / 1000,
  }),
);
process.exit(0);
