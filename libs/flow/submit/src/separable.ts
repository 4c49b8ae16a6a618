/** A setting of `ore.xml` under which the numbers of one netting set depend on the others in its run. */
export interface NotSeparable {
  readonly setting: string;
  readonly message: string;
}

/** Analytics whose rows belong to a trade or netting set alone, so that a merge may unite them. */
const exactAnalytics: ReadonlySet<string> = new Set([
  'npv',
  'cashflow',
  'curves',
  'simulation',
  'xva',
  'portfolioDetails',
]);

const truths: ReadonlySet<string> = new Set(['y', 'yes', 'true', '1']);

/**
 * Settings of an engine's set-up under which shards are not exact: margin and allocation over the whole portfolio,
 * analytics that aggregate it, credit states simulated from it (docs/components/xva-engine.md, sharding). Only what is
 * switched on counts.
 *
 * @param setup text of `ore.xml`; what is no XML has none of them, and the engine refuses it by itself
 */
export function notSeparable(setup: string): readonly NotSeparable[] {
  const text = setup.replaceAll(/<!--[\s\S]*?-->/g, '');
  const found: NotSeparable[] = [];
  const add = (setting: string, why: string): void => {
    found.push({ setting, message: `${setting} ${why}: with it the netting sets of a run depend on each other` });
  };
  for (const [, type = '', body = ''] of text.matchAll(
    /<Analytic\s+type\s*=\s*["']([^"']*)["'][^>]*>([\s\S]*?)<\/Analytic>/g,
  )) {
    const parameters = new Map(
      [...body.matchAll(/<Parameter\s+name\s*=\s*["']([^"']*)["'][^>]*>([^<]*)<\/Parameter>/g)].map(
        ([, name = '', value = '']) => [name, value.trim()],
      ),
    );
    const on = (name: string): boolean => truths.has((parameters.get(name) ?? '').toLowerCase());
    if (!on('active')) continue;
    if (!exactAnalytics.has(type)) add(`analytic ${type}`, 'is of the whole portfolio');
    for (const name of ['dim', 'mva', 'dynamicCredit', 'kva']) if (on(name)) add(`${type}/${name}`, 'is switched on');
    const allocation = parameters.get('allocationMethod') ?? 'None';
    if (type === 'xva' && allocation !== 'None') add('xva/allocationMethod', `is ${allocation}, not None`);
  }
  return found;
}
