import { runEventSchema } from '@xva/contracts';
import { someDetails, sourceRowOf } from '@xva/testkit';
import fc from 'fast-check';
import {
  buildRunEvent,
  freezeRequest,
  identityOf,
  parseTerms,
  readFrozen,
  readRequest,
  type DetailRows,
} from '../src/index.ts';

const reading = readRequest(sourceRowOf());
if (reading.outcome !== 'valid') throw new Error(reading.reason);
const { key, settings } = reading;
const identity = identityOf('run-requests', key);

function freezeText(details: DetailRows): string {
  return freezeRequest(identity, key, settings, details).bytes.toString('utf8');
}

describe('freezing', () => {
  it('depends on definition, key and revision only', () => {
    expect(identityOf('run-requests', { ...key })).toEqual(identity);
    expect(identityOf('other', key).eventId).not.toBe(identity.eventId);
    expect(identityOf('run-requests', { ...key, revision: 2 }).runId).not.toBe(identity.runId);
  });

  it('gives the same bytes for the same rows in whatever order they came, repeated ids included', () => {
    const trade = fc.record({
      tradeId: fc.constantFrom('T1', 'T2', 'T3'),
      nettingSetId: fc.constantFrom('NS_A', 'NS_B'),
      tradeType: fc.constant('FxForward'),
      terms: fc.constantFrom('{"a":"1"}', '{"a":"2"}'),
    });
    fc.assert(
      fc.property(
        fc
          .array(trade, { maxLength: 8 })
          .chain((rows) => fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length }))),
        ([rows, shuffled]) => {
          expect(freezeText({ ...someDetails, trades: shuffled })).toBe(freezeText({ ...someDetails, trades: rows }));
        },
      ),
    );
  });

  it('keeps both of two trades with one id, and quotes that repeat, for the refusal that names them', () => {
    const [trade] = someDetails.trades;
    const [quote] = someDetails.quotes;
    const frozen = freezeRequest(identity, key, settings, {
      ...someDetails,
      trades: [trade!, trade!],
      quotes: [quote!, { ...quote!, value: '1.2' }],
    });
    expect(frozen.tradeCount).toBe(2);
    expect(JSON.parse(frozen.bytes.toString('utf8')).quotes).toHaveLength(2);
  });

  it.each([
    ['{"a":"1"}', { a: '1' }],
    ['not json', { raw: 'not json' }],
    ['[1]', { raw: '[1]' }],
    ['null', { raw: 'null' }],
    ['', { raw: '' }],
    ['{"rate":0.1}', { raw: '{"rate":0.1}' }],
    ['{"notional":12345678901234567890}', { raw: '{"notional":12345678901234567890}' }],
  ])('reads the terms %s without losing a digit', (text, terms) => {
    expect(parseTerms(text)).toEqual(terms);
  });

  const frozenCsa = (csa: string | null): unknown => {
    const nettingSets = [{ nettingSetId: 'NS_A', counterparty: 'ALDER', csa }];
    return JSON.parse(freezeText({ ...someDetails, nettingSets })).nettingSets[0].csa;
  };
  const goodCsa = {
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

  it.each([
    'threshold: none',
    '{"currency":"EUR"}',
    '"EUR"',
    '[]',
    '1e999',
    JSON.stringify({ ...goodCsa, thresholdPay: 5 }),
    JSON.stringify({ ...goodCsa, more: 1 }),
  ])('keeps a CSA that is none as its text, for the refusal of that netting set alone: %s', (text) => {
    expect(frozenCsa(text)).toEqual({ raw: text });
  });

  it('keeps a CSA that is one, and takes empty text and null for none', () => {
    expect(frozenCsa(JSON.stringify(goodCsa))).toEqual(goodCsa);
    for (const none of [null, '', '  ', 'null']) expect(frozenCsa(none)).toBeNull();
  });

  it('cuts a CSA without end, also amid a pair of surrogates', () => {
    const { raw } = frozenCsa(`x${'\u{1F4A5}'.repeat(20_000)}`) as { raw: string };
    expect(raw).toHaveLength(20_000);
    expect(raw.isWellFormed()).toBe(true);
    expect(frozenCsa('a\uD800b')).toEqual({ raw: 'a\uFFFDb' });
  });

  it('takes over what a request says beside its settings', () => {
    const extras = { marketSnapshot: { name: 'EOD' }, creditProxies: [{ name: 'A', proxy: 'B', reason: 'r' }] };
    const frozen = JSON.parse(freezeRequest(identity, key, settings, someDetails, extras).bytes.toString('utf8'));
    expect(frozen).toMatchObject(extras);
    expect(JSON.parse(freezeText(someDetails))).not.toHaveProperty('marketSnapshot');
  });

  it('is read back as it was written, and described by an event that fits the contract', () => {
    const frozen = freezeRequest(identity, key, settings, someDetails);
    expect(readFrozen(frozen.bytes)).toEqual({ ...frozen, settings });
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const event = buildRunEvent('run-requests', frozen, trace, new Date('2026-09-30T18:00:00Z'));
    expect(runEventSchema.parse(event)).toEqual(event);
    expect(event).toMatchObject({ id: identity.eventId, subject: 'RATES/2026-09-30/EOD/BASE/1' });
    expect(event.data).toMatchObject({ requestSha256: frozen.sha256, tradeCount: 1, nettingSetCount: 1 });
  });
});
