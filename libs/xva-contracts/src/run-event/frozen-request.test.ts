import { ContractError, parseContract } from '../parse.ts';
import { frozenRequestSchema, nettingSetSchema } from './frozen-request.ts';

const csa = {
  currency: 'EUR',
  index: 'EUR-ESTER',
  thresholdPay: '0',
  thresholdReceive: '0',
  minimumTransferPay: '0',
  minimumTransferReceive: '0',
  independentAmountHeld: '0',
  marginPeriodOfRisk: '2W',
  callFrequency: '1D',
  direction: 'Bilateral',
  spreadPay: '0',
  spreadReceive: '0',
};
const set = (value: unknown): unknown => ({ id: 'NS', counterparty: 'P', csa: value });
const faults = (value: unknown): string => {
  try {
    parseContract(nettingSetSchema, set(value), 'a netting set');
  } catch (error) {
    if (error instanceof ContractError) return error.issues.map(({ path }) => path).join(' ');
    throw error;
  }
  return 'none';
};

describe('the CSA of a netting set', () => {
  it.each([[csa], [null], [{ raw: 'threshold: none' }], [{ raw: '' }]])('may be %j', (value) => {
    expect(faults(value)).toBe('none');
  });

  it('is told by the place of each fault, not as a union that nothing fits', () => {
    expect(faults({ ...csa, index: '', direction: 'Both' })).toBe('csa.index csa.direction');
    expect(faults({ raw: 7 })).toBe('csa.raw');
    expect(faults('threshold: none')).toBe('csa');
    expect(faults({ currency: 'EUR' }).split(' ')).toContain('csa.index');
  });
});

describe('what a request may say beside its rows', () => {
  const request = {
    schemaVersion: '1.0',
    eventId: '0123456789abcdef0123456789abcdef',
    requestKey: { book: 'B', asOf: '2026-09-30', cut: 'EOD', scenario: 'BASE', revision: 1 },
    settings: {
      baseCurrency: 'EUR',
      samples: 100,
      seed: 1,
      quantile: '0.95',
      dvaName: 'BANK',
      strict: false,
      priority: 0,
    },
    nettingSets: [],
    trades: [],
    quotes: [],
    fixings: [],
  };
  const fits = (more: object): boolean => frozenRequestSchema.safeParse({ ...request, ...more }).success;

  it('is a snapshot, proxies, a what-if and error bars', () => {
    expect(fits({})).toBe(true);
    expect(fits({ marketSnapshot: { name: 'EOD' } })).toBe(true);
    expect(fits({ marketSnapshot: { name: 'EOD', sha256: 'a'.repeat(64) } })).toBe(true);
    expect(fits({ creditProxies: [{ name: 'A', proxy: 'B', reason: 'same sector' }] })).toBe(true);
    expect(fits({ whatIf: { nettingSetId: 'NS', addTrades: [], removeTradeIds: ['T'] } })).toBe(true);
    expect(fits({ settings: { ...request.settings, errorBars: true } })).toBe(true);
  });

  it.each([
    { marketSnapshot: null },
    { marketSnapshot: { name: '../x' } },
    { marketSnapshot: { name: 'EOD', sha256: 'A'.repeat(64) } },
    { creditProxies: [] },
    { creditProxies: [{ name: 'A', proxy: 'B', reason: '' }] },
    { whatIf: { nettingSetId: 'NS' } },
    { settings: { ...request.settings, errorBars: 'yes' } },
  ])('is not %j', (more) => {
    expect(fits(more)).toBe(false);
  });
});
