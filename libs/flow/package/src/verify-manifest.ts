import {
  ContractError,
  formatRequestKey,
  manifestBytes,
  manifestSchema,
  NotCanonicalError,
  packageIdOf,
  parseContract,
  sharedInputHashOf,
  type Manifest,
  type RunEvent,
} from '@xva/contracts';
import type { RequestFacts } from './request.ts';
import { StepFailure, type Defect } from './failures.ts';

/** Most that a package may be. Bytes. */
export interface PackageLimits {
  readonly maxPartBytes: number;
  readonly maxPackageBytes: number;
}

export interface VerifiedPackage {
  readonly manifest: Manifest;
  readonly packageId: string;
  /** The canonical bytes: what is stored as `objects/<packageId>`. */
  readonly bytes: Uint8Array;
}

/**
 * Believes nothing of what an input API answered: schema, names, order, sizes, hashes, that it is the answer to this
 * request, and that every trade of the request is in it, in a refused netting set, or named by a warning.
 *
 * @throws StepFailure `transient` for what is not JSON (a proxy's page), `poison` with every defect otherwise.
 */
export function verifyManifest(
  answer: Uint8Array,
  event: RunEvent,
  request: RequestFacts,
  limits: PackageLimits,
): VerifiedPackage {
  const manifest = readManifest(answer);
  const defects = [
    ...identityDefects(manifest, event, request),
    ...partDefects(manifest, limits),
    ...coverageDefects(manifest, request),
  ];
  if (defects.length > 0) {
    const shown = defects.slice(0, 5).map((defect) => defect.message);
    const message = `the input API's package is not valid: ${shown.join('; ')}${defects.length > 5 ? ` … and ${defects.length - 5} more` : ''}`;
    throw new StepFailure('poison', 'package-invalid', message, { defects: defects.slice(0, 200) });
  }
  return { manifest, packageId: packageIdOf(manifest), bytes: Buffer.from(manifestBytes(manifest)) };
}

/** Half a surrogate pair is text to JSON and to the schema, and has no bytes to take a hash of. */
function checkCanonical(manifest: Manifest): Manifest {
  try {
    manifestBytes(manifest);
    return manifest;
  } catch (error) {
    if (!(error instanceof NotCanonicalError)) throw error;
    const defects = [{ subject: error.path, code: 'manifest-invalid', message: error.message }];
    throw new StepFailure('poison', 'package-invalid', `manifest: ${error.message}`, { defects });
  }
}

function readManifest(answer: Uint8Array): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(answer));
  } catch {
    const start = Buffer.from(answer.subarray(0, 60))
      .toString('latin1')
      .replaceAll(/[^\x20-\x7e]/g, '.');
    throw new StepFailure('transient', 'input-api-nonsense', `the input API answered no JSON but "${start}"`);
  }
  try {
    return checkCanonical(parseContract(manifestSchema, value, 'manifest'));
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    const defects = error.issues.map(({ path, message }) => ({ subject: path, code: 'manifest-invalid', message }));
    throw new StepFailure('poison', 'package-invalid', error.message, { defects: defects.slice(0, 200) });
  }
}

function identityDefects(manifest: Manifest, event: RunEvent, { settings }: RequestFacts): Defect[] {
  const expected: readonly (readonly [string, unknown, unknown])[] = [
    ['eventId', manifest.eventId, event.id],
    ['requestKey', formatRequestKey(manifest.requestKey), formatRequestKey(event.data.requestKey)],
    ['asOf', manifest.asOf, event.data.requestKey.asOf],
    ['baseCurrency', manifest.baseCurrency, settings.baseCurrency],
    ['samples', manifest.samples, settings.samples],
    ['seed', manifest.seed, settings.seed],
    ['quantile', manifest.quantile, settings.quantile],
    ['strict', manifest.strict, settings.strict],
    ['priority', manifest.priority, settings.priority],
  ];
  return expected
    .filter(([, found, wanted]) => found !== wanted)
    .map(([subject, found, wanted]) => ({
      subject,
      code: 'not-what-was-asked',
      message: `${subject} is ${String(found)}, the request says ${String(wanted)}`,
    }));
}

function partDefects({ parts, sharedInputHash }: Manifest, limits: PackageLimits): Defect[] {
  const defects: Defect[] = [];
  const add = (subject: string, code: string, message: string): void => void defects.push({ subject, code, message });
  if (!isStrictlySorted(parts.map((part) => part.path)))
    add('parts', 'not-sorted', 'parts are not sorted by path, once each');
  for (const { subject, code, message } of nameDefects(parts.map((part) => part.path))) add(subject, code, message);
  const sizes = new Map<string, number>();
  for (const { path, size, sha256 } of parts) {
    if (size > limits.maxPartBytes)
      add(path, 'part-too-large', `${path} has ${size} bytes, at most ${limits.maxPartBytes}`);
    if ((sizes.get(sha256) ?? size) !== size) add(path, 'size-differs', `${path}: one hash with two sizes`);
    sizes.set(sha256, size);
  }
  const total = parts.reduce((sum, part) => sum + part.size, 0);
  if (total > limits.maxPackageBytes) {
    add('parts', 'package-too-large', `the package has ${total} bytes, at most ${limits.maxPackageBytes}`);
  }
  for (const role of ['simulation', 'portfolio'] as const) {
    const count = parts.filter((part) => part.role === role).length;
    if (count !== 1) add(role, 'part-count', `${count} parts have the role ${role}, there must be one`);
  }
  if (sharedInputHashOf(parts) !== sharedInputHash) {
    add('sharedInputHash', 'hash-differs', 'sharedInputHash does not follow from the parts');
  }
  return defects;
}

/** A step that Windows takes for a device, whatever follows the first point, or whose last point it drops. */
const windowsName = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?$|\.$/i;

/** Names that mean another file, or none, on a node with another file system. */
function nameDefects(paths: readonly string[]): Defect[] {
  const defects: Defect[] = [];
  const folded = new Set(paths.map((path) => path.toLowerCase()));
  if (folded.size < paths.length) {
    const message = 'two parts have names that differ by case only';
    defects.push({ subject: 'parts', code: 'name-collision', message });
  }
  for (const path of paths) {
    const steps = path.split('/');
    const bad = steps.find((step) => windowsName.test(step));
    if (bad !== undefined) {
      defects.push({ subject: path, code: 'name-reserved', message: `${path}: ${bad} is a reserved name on Windows` });
    }
    for (let length = 1; length < steps.length; length += 1) {
      const folder = steps.slice(0, length).join('/');
      if (folded.has(folder.toLowerCase())) {
        const message = `${folder} is a part and the folder of ${path}`;
        defects.push({ subject: path, code: 'name-collision', message });
      }
    }
  }
  return defects;
}

function coverageDefects(manifest: Manifest, request: RequestFacts): Defect[] {
  const defects: Defect[] = [];
  const add = (subject: string, code: string, message: string): void => void defects.push({ subject, code, message });
  const { nettingSets, refusedNettingSets } = manifest;
  if (!isStrictlySorted(nettingSets.map((set) => set.id)))
    add('nettingSets', 'not-sorted', 'netting sets are not sorted');
  if (!isStrictlySorted(refusedNettingSets.map((set) => set.id))) {
    add('refusedNettingSets', 'not-sorted', 'refused netting sets are not sorted');
  }
  if (manifest.strict && refusedNettingSets.length > 0) {
    add('strict', 'partial-though-strict', 'the request is strict, yet netting sets were left out');
  }
  const refused = new Set(refusedNettingSets.map((set) => set.id));
  const warned = new Set(manifest.warnings.map((warning) => warning.subject));
  const packaged = new Map<string, string>();
  for (const set of nettingSets) {
    if (refused.has(set.id)) add(set.id, 'both', `netting set ${set.id} is packaged and refused`);
    for (const { tradeId } of set.trades) {
      if (packaged.has(tradeId)) add(tradeId, 'trade-twice', `trade ${tradeId} is packaged twice`);
      packaged.set(tradeId, set.id);
    }
  }
  const asked = new Set<string>();
  for (const { tradeId, nettingSetId, copyOf = tradeId } of request.trades) {
    asked.add(tradeId);
    const accounted = packaged.get(tradeId) === nettingSetId || refused.has(nettingSetId) || warned.has(copyOf);
    if (!accounted)
      add(tradeId, 'trade-lost', `trade ${tradeId} of netting set ${nettingSetId} is missing without a word`);
  }
  for (const tradeId of packaged.keys()) {
    if (!asked.has(tradeId)) add(tradeId, 'trade-unknown', `trade ${tradeId} was never asked for`);
  }
  return defects;
}

/** By UTF-8 bytes, which is the order of Python's `sorted`; no name twice. */
function isStrictlySorted(names: readonly string[]): boolean {
  return names.every((name, index) => {
    const previous = names[index - 1];
    return previous === undefined || Buffer.compare(Buffer.from(previous), Buffer.from(name)) < 0;
  });
}
