import { parseArgs } from 'node:util';
import { modelRuns } from '../test/model-runs.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, count: { type: 'string', default: '400' } },
});
const { failure, reports, runs, transitions } = await modelRuns(Number(values.seed), Number(values.count));
process.stdout.write(`seed ${values.seed}: ${runs} runs of random commands over jobs, tasks, schedules and a pool\n`);
process.stdout.write(`${transitions.size} transitions seen: ${[...transitions].sort().join(', ')}\n`);
for (const line of reports) process.stdout.write(`reported: ${line}\n`);
if (failure !== undefined) process.stdout.write(`${failure}\n`);
process.exitCode = failure === undefined && reports.length === 0 ? 0 : 1;
