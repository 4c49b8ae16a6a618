import { processHost, runCli } from '@xva/runtime';
import { definition } from './definition.ts';

await runCli(definition, processHost(process));
// The AMQP library leaves a timer of two minutes behind a connection that was lost: it must not hold up the end.
setTimeout(() => process.exit(), 500).unref();
