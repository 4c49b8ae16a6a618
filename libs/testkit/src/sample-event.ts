import {
  deriveEventId,
  deriveRunId,
  formatRequestKey,
  manifestBytes,
  packageIdOf,
  sha256Hex,
  sharedInputHashOf,
  type FrozenRequest,
  type Manifest,
  type Part,
  type PartRole,
  type RequestKey,
  type RunEvent,
} from '@xva/contracts';

export interface SampleEvent {
  readonly event: RunEvent;
  readonly eventBytes: Buffer;
  /** Name in container `requests`. */
  readonly requestName: string;
  readonly requestBytes: Buffer;
  readonly manifest: Manifest;
  readonly manifestBytes: Buffer;
  readonly packageId: string;
  /** The parts' bytes by SHA-256. */
  readonly parts: ReadonlyMap<string, Buffer>;
}

export interface SampleEventOptions {
  readonly book?: string;
  readonly revision?: number;
  readonly trades?: number;
  /** Replaces the text of a part, by its path. */
  readonly texts?: Readonly<Record<string, string>>;
}

const settings = {
  baseCurrency: 'EUR',
  samples: 100,
  seed: 42,
  quantile: '0.95',
  dvaName: 'BANK',
  strict: false,
  priority: 3,
} as const;

/** A run event, the request that it points to and the package that an input API makes of it: right in form and hashes. */
export function sampleEvent(options: SampleEventOptions = {}): SampleEvent {
  const requestKey: RequestKey = {
    book: options.book ?? 'RATES',
    asOf: '2026-09-30',
    cut: 'EOD',
    scenario: 'BASE',
    revision: options.revision ?? 1,
  };
  const eventId = deriveEventId('sample', requestKey, String(requestKey.revision));
  const tradeIds = Array.from({ length: options.trades ?? 2 }, (_trade, index) => `T-${index + 1}`);
  const request: FrozenRequest = {
    schemaVersion: '1.0',
    eventId,
    requestKey,
    settings,
    nettingSets: [{ id: 'NS-1', counterparty: 'CPTY-1', csa: null }],
    trades: tradeIds.map((tradeId) => ({ tradeId, nettingSetId: 'NS-1', tradeType: 'RateSwap', terms: {} })),
    quotes: [{ key: 'FX/RATE/EUR/USD', value: '1.1' }],
    fixings: [],
  };
  const requestBytes = Buffer.from(JSON.stringify(request));
  const event: RunEvent = {
    specversion: '1.0',
    id: eventId,
    source: '/xva-db-integrator/sample',
    type: 'com.xvalab.run.requested.v1',
    subject: formatRequestKey(requestKey),
    time: '2026-09-30T18:00:00Z',
    datacontenttype: 'application/json',
    traceparent: `00-${eventId}-${eventId.slice(0, 16)}-01`,
    data: {
      schemaVersion: '1.0',
      runId: deriveRunId(eventId, requestKey),
      requestKey,
      requestBlob: `requests/${eventId}.json`,
      requestSha256: sha256Hex(requestBytes),
      requestBytes: requestBytes.length,
      tradeCount: request.trades.length,
      nettingSetCount: 1,
    },
  };
  const { manifest, parts } = samplePackageOf(request, options.texts ?? {});
  return {
    event,
    eventBytes: Buffer.from(JSON.stringify(event)),
    requestName: `${eventId}.json`,
    requestBytes,
    manifest,
    manifestBytes: Buffer.from(manifestBytes(manifest)),
    packageId: packageIdOf(manifest),
    parts,
  };
}

function samplePackageOf(
  request: FrozenRequest,
  texts: Readonly<Record<string, string>>,
): { manifest: Manifest; parts: Map<string, Buffer> } {
  const files: readonly (readonly [string, PartRole, string])[] = [
    ['Input/market.txt', 'market', '20260930 FX/RATE/EUR/USD 1.1\n'],
    ['Input/portfolio.xml', 'portfolio', `<Portfolio event="${request.eventId}"/>`],
    ['Input/simulation.xml', 'simulation', '<Simulation/>'],
  ];
  const bytesOf = new Map<string, Buffer>();
  const parts: Part[] = files.map(([path, role, text]) => {
    const bytes = Buffer.from(texts[path] ?? text);
    const sha256 = sha256Hex(bytes);
    bytesOf.set(sha256, bytes);
    return { path, role, size: bytes.length, sha256 };
  });
  const { baseCurrency, samples, seed, quantile, strict, priority } = request.settings;
  const manifest: Manifest = {
    schemaVersion: '1.0',
    eventId: request.eventId,
    requestKey: request.requestKey,
    asOf: request.requestKey.asOf,
    baseCurrency,
    samples,
    seed,
    quantile,
    gridDates: 10,
    strict,
    priority,
    generator: { name: 'sample', version: '1' },
    engine: { name: 'none', version: '1' },
    parts,
    sharedInputHash: sharedInputHashOf(parts),
    nettingSets: [
      {
        id: 'NS-1',
        counterparty: 'CPTY-1',
        collateralised: false,
        trades: request.trades.map(({ tradeId }) => ({ tradeId, tradeType: 'RateSwap', costNanos: 20_000 })),
        grossNotional: '1000000',
      },
    ],
    refusedNettingSets: [],
    refusals: [],
    warnings: [],
  };
  return { manifest, parts: bytesOf };
}
