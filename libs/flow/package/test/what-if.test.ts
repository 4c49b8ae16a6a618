import type { FrozenTrade, Manifest } from '@xva/contracts';
import { sampleEvent } from '@xva/testkit';
import { askedTrades, type RequestFacts } from '../src/request.ts';
import { verifyManifest } from '../src/verify-manifest.ts';

const trade = (tradeId: string, nettingSetId: string): FrozenTrade => ({
  tradeId,
  nettingSetId,
  tradeType: 'FxForward',
  terms: {},
});
const trades = [trade('T-1', 'NS-1'), trade('T-2', 'NS-1'), trade('T-3', 'NS-2')];
const whatIf = {
  nettingSetId: 'NS-1',
  addTrades: [{ tradeId: 'NEW', tradeType: 'FxForward', terms: {} }],
  removeTradeIds: ['T-2'],
};
const limits = { maxPartBytes: 1_000_000, maxPackageBytes: 10_000_000 };

/** What is wrong with a what-if's manifest that holds these trades by netting set, and warns of these. */
function defectsOf(sets: Readonly<Record<string, readonly string[]>>, warned: readonly string[] = []): string {
  const sample = sampleEvent();
  const { manifest } = sample;
  const [pattern] = manifest.nettingSets;
  const changed: Manifest = {
    ...manifest,
    nettingSets: Object.entries(sets).map(([id, ids]) => ({
      ...pattern!,
      id,
      trades: ids.map((tradeId) => ({ ...pattern!.trades[0]!, tradeId })),
    })),
    warnings: warned.map((subject) => ({ code: 'trade-matured', subject, message: 'm' })),
  };
  const { settings } = JSON.parse(sample.requestBytes.toString()) as RequestFacts;
  const facts = { settings, trades: askedTrades({ trades, whatIf }) };
  try {
    verifyManifest(Buffer.from(JSON.stringify(changed)), sample.event, facts, limits);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('the package of a what-if', () => {
  it('holds the one netting set as it is and with the other trades, and no more of the book', () => {
    expect(defectsOf({ 'NS-1': ['T-1', 'T-2'], 'NS-1.whatif': ['NEW.whatif', 'T-1.whatif'] })).toBe('');
  });

  it('may leave out what has matured, on both sides, under one warning', () => {
    expect(defectsOf({ 'NS-1': ['T-2'], 'NS-1.whatif': ['NEW.whatif'] }, ['T-1'])).toBe('');
  });

  it('is refused when the added trade is missing, or a removed one is still there', () => {
    const lost = defectsOf({ 'NS-1': ['T-1', 'T-2'], 'NS-1.whatif': ['T-1.whatif'] });
    expect(lost).toContain('NEW.whatif of netting set NS-1.whatif is missing');
    const kept = defectsOf({ 'NS-1': ['T-1', 'T-2'], 'NS-1.whatif': ['NEW.whatif', 'T-1.whatif', 'T-2.whatif'] });
    expect(kept).toContain('T-2.whatif');
  });
});
