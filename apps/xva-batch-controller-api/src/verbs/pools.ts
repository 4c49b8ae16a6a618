import { readFileSync } from 'node:fs';
import { parseContract } from '@xva/contracts';
import { cliExitCodes, CliError, type Verb } from '@xva/runtime';
import { z } from 'zod';
import type { configSchema } from '../config.ts';
import { poolSchema } from '../http/routes/pools.ts';
import { askJson, integerOption, tableText, textOption, unknownVerb, type Context } from './ask.ts';

const known = ['list', 'show', 'resize', 'evaluate'] as const;
type Pool = z.output<typeof poolSchema>;
const heads = ['POOL', 'STATE', 'SIZE', 'SLOTS', 'DEDICATED', 'SPOT', 'ERRORS'];

function cells(pool: Pool): readonly string[] {
  const of = ({ current, target }: Pool['spotNodes']): string => `${current}/${target}`;
  return [
    ...[pool.id, `${pool.state} ${pool.allocationState}`, pool.vmSize, String(pool.slotsPerNode)],
    ...[of(pool.dedicatedNodes), of(pool.spotNodes), pool.resizeErrors.join('; ')],
  ];
}

function print(context: Context, value: unknown): void {
  const pool = parseContract(poolSchema, value, 'pool');
  context.output(pool, tableText(heads, [cells(pool)]));
}

export const poolsVerb: Verb<typeof configSchema> = {
  name: 'pools',
  description: 'ask a running controller about pools; resize one; try an autoscale formula',
  args: [
    { name: '<what>', description: known.join(', ') },
    { name: '[poolId]', description: 'for all but list' },
  ],
  options: [
    { flags: '--dedicated <nodes>', description: 'resize: dedicated nodes' },
    { flags: '--spot <nodes>', description: 'resize: spot nodes' },
    { flags: '--formula <file>', description: 'evaluate: file with the formula' },
  ],
  run: async (context, [what, poolId = ''], options) => {
    if (!known.some((one) => one === what)) throw unknownVerb('pools', what, known);
    if (what === 'list') {
      const { items } = parseContract(
        z.object({ items: z.array(poolSchema) }),
        await askJson(context, '/v1/pools'),
        'pools',
      );
      context.output(items, tableText(heads, items.map(cells)));
      return;
    }
    if (poolId === '') throw new CliError('give a pool id', cliExitCodes.usage);
    const path = `/v1/pools/${encodeURIComponent(poolId)}`;
    if (what === 'show') print(context, await askJson(context, path));
    else if (what === 'resize') {
      const dedicatedNodes = integerOption(options, 'dedicated', 0, 10_000);
      const spotNodes = integerOption(options, 'spot', 0, 10_000);
      if (dedicatedNodes === undefined && spotNodes === undefined)
        throw new CliError('pools resize needs --dedicated or --spot', cliExitCodes.usage);
      print(context, await askJson(context, `${path}/resize`, { method: 'POST', body: { dedicatedNodes, spotNodes } }));
    } else {
      const file = textOption(options, 'formula');
      if (file === undefined) throw new CliError('pools evaluate needs --formula FILE', cliExitCodes.usage);
      const body = { formula: readFileSync(file, 'utf8') };
      const answer = await askJson(context, `${path}/autoscale/evaluate`, { method: 'POST', body });
      const schema = z.object({ results: z.string(), error: z.string().nullable() });
      const { results, error } = parseContract(schema, answer, 'evaluation');
      context.output(answer, error === null ? results.replaceAll(';', '\n') : `error: ${error}\n${results}`);
      if (error !== null) throw new CliError('the formula has an error', cliExitCodes.refused);
    }
  },
};
