import { ledgerContainers, sha256Hex } from '@xva/contracts';
import { few } from './few.ts';
import type { BlobPlace, MarkedItem } from './items.ts';
import type { BlobFactsLike, SweepStorage } from './ports.ts';
import type { Taking } from './sweep.ts';

/** Of a blob that cannot be touched (ADR 7). */
export const leasedNow =
  'somebody holds a lease on it, so that it cannot be kept from a sweep: try again when that ended';

export const quarantinePlace: BlobPlace = { account: 'ledger', container: ledgerContainers.quarantine };

/** Where a copy came from, in its metadata: names are base64url, since headers take no other text. */
export interface QuarantineLabels {
  readonly reportId: string;
  readonly account: 'work' | 'ledger';
  readonly container: string;
  readonly name: string;
  /** The marked item that it went with: a run, a container, or itself. */
  readonly item: string;
}

const encode = (text: string): string => Buffer.from(text, 'utf8').toString('base64url');
const decode = (text: string): string => Buffer.from(text, 'base64url').toString('utf8');

export function quarantineLabels(labels: QuarantineLabels, until: Date): Record<string, string> {
  return {
    xva_q_report: labels.reportId,
    xva_q_account: labels.account,
    xva_q_container: labels.container,
    xva_q_name: encode(labels.name),
    xva_q_item: encode(labels.item),
    xva_q_until: until.toISOString(),
  };
}

/** What a blob in quarantine was; undefined for one that the collector did not put there. */
export function readLabels(metadata: Readonly<Record<string, string>>): QuarantineLabels | undefined {
  const account = metadata['xva_q_account'];
  const [container, name, reportId] = [metadata['xva_q_container'], metadata['xva_q_name'], metadata['xva_q_report']];
  if ((account !== 'work' && account !== 'ledger') || container === undefined || name === undefined) return undefined;
  return {
    account,
    container,
    reportId: reportId ?? '',
    name: decode(name),
    item: decode(metadata['xva_q_item'] ?? ''),
  };
}

/** All copies of a report, or (without one) of all reports; what the collector did not put there is passed over. */
export async function* quarantined(
  storage: Pick<SweepStorage, 'list'>,
  prefix: string,
): AsyncGenerator<{ readonly blob: BlobFactsLike; readonly labels: QuarantineLabels }> {
  for await (const page of storage.list(quarantinePlace, { prefix, split: 'folders' })) {
    for (const blob of page) {
      const labels = readLabels(blob.metadata);
      if (labels !== undefined) yield { blob, labels };
    }
  }
}

/** A blob's own metadata, without what quarantine added. */
export function ownMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => !name.startsWith('xva_q_')));
}

/** The copy's name: the same version put there twice is the same act. */
export function quarantineName(reportId: string, place: BlobPlace, name: string, etag: string): string {
  return `${reportId}/${sha256Hex(`${place.account}\n${place.container}\n${name}\n${etag}`)}`;
}

/** How items of a rule go: with a copy, kept by the account's own soft delete, or for good. */
export async function quarantineModeOf(
  { deps, policy }: Pick<Taking, 'deps' | 'policy'>,
  item: Pick<MarkedItem, 'kind' | 'rule'> | undefined,
  place: BlobPlace,
): Promise<'copy' | 'account' | 'off'> {
  if (item === undefined || item.kind === 'quarantined' || policy.quarantine.mode === 'off') return 'off';
  const blobRule = policy.blobs.find(({ name }) => item.rule === `blobs.${name}`);
  const rules: Readonly<Record<string, object | undefined>> = policy.rules;
  const rule = blobRule ?? rules[item.rule];
  if (rule !== undefined && 'quarantine' in rule && rule.quarantine === false) return 'off';
  if (policy.quarantine.mode === 'copy') return 'copy';
  return (await deps.storage.keepsDeleted(place, policy.quarantine.keepSeconds)) ? 'account' : 'copy';
}

function untilOf({ deps, policy }: Pick<Taking, 'deps' | 'policy'>): Date {
  return new Date(deps.clock.now().getTime() + policy.quarantine.keepSeconds * 1000);
}

/** Copies the marked version to quarantine with its own metadata and where it came from. */
export async function putInQuarantine(
  taking: Taking,
  item: MarkedItem,
  place: BlobPlace,
  name: string,
): Promise<'copied' | 'absent' | 'changed'> {
  const { storage } = taking.deps;
  const found = await storage.head(place, name);
  if (found === undefined) return 'absent';
  if (found.etag !== item.etag) return 'changed';
  return copyWithLabels(taking, item, place, found);
}

async function copyWithLabels(
  taking: Taking,
  item: MarkedItem,
  place: BlobPlace,
  blob: BlobFactsLike,
): Promise<'copied' | 'absent' | 'changed'> {
  const { reportId } = taking.report;
  const labels = { reportId, ...place, name: blob.name, item: `${item.kind} ${item.id}` };
  return taking.deps.storage.copy(place, blob, quarantinePlace, quarantineName(reportId, place, blob.name, blob.etag), {
    ...ownMetadata(blob.metadata),
    ...quarantineLabels(labels, untilOf(taking)),
  });
}

/** Copies all of a container. Nothing must write to it any more. @throws Error when a blob changed under the copy */
export async function quarantineContainer(taking: Taking, item: MarkedItem, container: string): Promise<number> {
  const place: BlobPlace = { account: 'work', container };
  let copies = 0;
  await forEachBlob(taking.deps.storage, place, async (blob) => {
    const outcome = await copyWithLabels(taking, item, place, blob);
    if (outcome === 'changed') throw new Error(`${container}/${blob.name} changed while it was copied to quarantine`);
    copies += 1;
  });
  return copies;
}

/** Every blob of a place, a few at a time. */
export async function forEachBlob(
  storage: Pick<SweepStorage, 'list'>,
  place: BlobPlace,
  act: (blob: BlobFactsLike) => Promise<void>,
): Promise<void> {
  for await (const page of storage.list(place, { split: 'folders' })) await few(page, 8, act);
}
