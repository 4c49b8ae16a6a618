/** The tables of a result, as the engine writes them: names and meaning of their columns. */
export type Unit = 'money' | 'years' | 'count' | 'microseconds' | 'none';

interface TableFacts {
  /** Names of columns that hold money in a currency that another column of the row names. */
  readonly currencyColumns?: Readonly<Record<string, string>>;
  readonly units: Readonly<Record<string, Unit>>;
}

const money = (...names: readonly string[]): Readonly<Record<string, Unit>> =>
  Object.fromEntries(names.map((name) => [name, 'money']));
const xva = money(
  ...['cva', 'dva', 'fba', 'fca', 'fva', 'fbaExOwnSp', 'fcaExOwnSp', 'fbaExAllSp', 'fcaExAllSp'],
  ...['baselEpe', 'baselEepe'],
);

/** What a column measures; a column that is not named here has no unit. Money is in base currency unless said. */
export const tableFacts: Readonly<Record<string, TableFacts>> = {
  npv: {
    units: { ...money('npv', 'npvBase', 'notional', 'notionalBase'), maturityTime: 'years' },
    currencyColumns: { npv: 'npvCurrency', notional: 'notionalCurrency' },
  },
  xva_netting_set: { units: { ...xva, ...money('npv', 'colva', 'peakPfe'), trades: 'count' } },
  xva_trade: { units: xva },
  exposure_profile: {
    units: {
      ...money('epe', 'ene', 'pfe', 'expectedCollateral', 'baselEe', 'baselEee'),
      ...money('timeWeightedBaselEpe', 'timeWeightedBaselEepe'),
      time: 'years',
    },
  },
  pricing_stats: { units: { pricings: 'count', cumulativeMicros: 'microseconds' } },
  rejections: { units: {} },
};

export interface ColumnView {
  readonly name: string;
  readonly type: 'string' | 'double' | 'int64' | 'date' | 'bool';
  readonly unit: Unit;
  /** Of money: ISO 4217, or the column of the row that names it; null for anything else. */
  readonly currency: string | null;
  readonly currencyColumn: string | null;
}

export function columnView(table: string, name: string, type: ColumnView['type'], baseCurrency: string): ColumnView {
  const facts = tableFacts[table];
  const unit = facts?.units[name] ?? 'none';
  const currencyColumn = facts?.currencyColumns?.[name] ?? null;
  const currency = unit === 'money' && currencyColumn === null ? baseCurrency : null;
  return { name, type, unit, currency, currencyColumn };
}
