/** `memory-child.ts URL ACCOUNT KEY JOB COUNT`: streams so many tasks through the adapter and prints the peaks of its own memory. */
import { BatchAdapter } from '../src/index.ts';
import { taskSpec } from './task-spec.ts';

const [endpoint = '', accountName = '', accountKey = '', job = '', count = '0'] = process.argv.slice(2);
const batch = new BatchAdapter({ endpoint, accountName, accountKey });
const total = Number(count);
let heap = 0;
let rss = 0;

function* stream() {
  for (let index = 0; index < total; index += 1) {
    if (index % Math.max(1_000, Math.floor(total / 50)) === 0) {
      // What is still held after a collection, not what has not been collected yet.
      globalThis.gc?.();
      heap = Math.max(heap, process.memoryUsage().heapUsed);
    }
    if (index % 1_000 === 0) rss = Math.max(rss, process.memoryUsage.rss());
    yield taskSpec(index);
  }
}

const started = performance.now();
const added = await batch.addTasks(job, stream());
batch.close();
const ms = performance.now() - started;
process.stdout.write(JSON.stringify({ added, heapMb: heap / 2 ** 20, rssMb: rss / 2 ** 20, ms }));
