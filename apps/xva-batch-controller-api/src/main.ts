import { processHost, runCli } from '@xva/runtime';
import { definition } from './definition.ts';

await runCli(definition, processHost(process));
