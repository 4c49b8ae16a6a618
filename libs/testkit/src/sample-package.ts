import {
  manifestBytes,
  packageIdOf,
  sha256Hex,
  sharedInputHashOf,
  type JobRequest,
  type Manifest,
  type Part,
  type PartRole,
} from '@xva/contracts';

export interface SamplePackageOptions {
  /** Makes the event, and with it the run, its own. */
  readonly name: string;
  readonly nettingSets: number;
  /** Nanoseconds per path and date, per netting set; the cost model's input. */
  readonly costNanos?: readonly number[];
  /** Trades that a netting set's cost is spread over; default one. */
  readonly tradesPerSet?: number;
  readonly samples?: number;
  readonly gridDates?: number;
  readonly strict?: boolean;
  readonly priority?: number;
  readonly revision?: number;
  /** Text of the part `control.json`, which tells the stand-in engine how to misbehave. */
  readonly control?: string;
}

export interface SamplePackage {
  readonly manifest: Manifest;
  readonly packageId: string;
  readonly request: JobRequest;
  /** Every object of the package by its SHA-256, the manifest included. */
  readonly objects: ReadonlyMap<string, Buffer>;
}

/** A small package whose parts are text: right in form and hashes, and no engine's input. */
export function samplePackage(options: SamplePackageOptions): SamplePackage {
  const { name, nettingSets } = options;
  const eventId = sha256Hex(`event:${name}`).slice(0, 32);
  const requestKey = { book: 'RATES', asOf: '2026-09-30', cut: 'EOD', scenario: name, revision: options.revision ?? 1 };
  const files: readonly (readonly [string, PartRole, string])[] = [
    ['Input/control.json', 'setup', options.control ?? '{}'],
    ['Input/market.txt', 'market', `market of ${name}`],
    ['Input/portfolio.xml', 'portfolio', `portfolio of ${name}`],
  ];
  const objects = new Map<string, Buffer>();
  const parts: Part[] = files.map(([path, role, text]) => {
    const bytes = Buffer.from(text);
    const sha256 = sha256Hex(bytes);
    objects.set(sha256, bytes);
    return { path, size: bytes.length, sha256, role };
  });
  const manifest: Manifest = {
    schemaVersion: '1.0',
    eventId,
    requestKey,
    asOf: '2026-09-30',
    baseCurrency: 'EUR',
    samples: options.samples ?? 100,
    seed: 42,
    quantile: '0.95',
    gridDates: options.gridDates ?? 10,
    strict: options.strict ?? false,
    priority: options.priority ?? 0,
    generator: { name: 'sample', version: '1' },
    engine: { name: 'stand-in', version: '1' },
    parts,
    sharedInputHash: sharedInputHashOf(parts),
    nettingSets: Array.from({ length: nettingSets }, (_set, index) => ({
      id: `NS-${String(index + 1).padStart(3, '0')}`,
      counterparty: `CPTY-${index + 1}`,
      collateralised: index % 2 === 1,
      trades: Array.from({ length: options.tradesPerSet ?? 1 }, (_trade, place) => ({
        tradeId: place === 0 ? `T-${index + 1}` : `T-${index + 1}-${place + 1}`,
        tradeType: 'RateSwap',
        costNanos: Math.round((options.costNanos?.[index] ?? 20_000) / (options.tradesPerSet ?? 1)),
      })),
      grossNotional: '1000000',
    })),
    refusedNettingSets: [],
    refusals: [],
    warnings: [],
  };
  const packageId = packageIdOf(manifest);
  objects.set(packageId, Buffer.from(manifestBytes(manifest)));
  const request: JobRequest = { schemaVersion: '1.0', eventId, requestKey, packageId, priority: options.priority ?? 0 };
  return { manifest, packageId, request, objects };
}
