import { Readable } from 'node:stream';
import { z } from 'zod';
import type { BlobAccount } from '@xva/azure-storage';
import type { TableStore } from '@xva/azure-tables';
import { ledgerContainers, parseContractText, sha256Hex } from '@xva/contracts';
import {
  markedItemSchema,
  sweepReportSchema,
  type MarkedItem,
  type PinKind,
  type SweepLedger,
  type SweepPins,
} from '@xva/flow-sweep';
import type { Clock } from '@xva/runtime';

/** The shortest there is (Lease Blob, remarks): so long a dead collector keeps the next one waiting. */
const leaseSeconds = 15;
const progressSchema = z.strictObject({ pages: z.int().min(0), counts: z.record(z.string(), z.int()) });
const pad = (page: number): string => String(page).padStart(6, '0');

/** Lines of one append: below the service's 4 MiB each. */
const linesAtOnce = 2_000;

/**
 * Container `sweeps`: `reports/<id>.json` (newest name last), its `pages/`, `documents/` (CSV, HTML), how far a sweep is
 * (`progress/`), the lock, and `audit/<id>/<page>.ndjson`, append blobs with a line for each intent and each outcome.
 */
export function createSweepLedger(ledger: BlobAccount, clock: Clock): SweepLedger {
  const blobs = ledger.container(ledgerContainers.sweeps);
  const collected = ledger.collector({ parallelism: 4 })(ledgerContainers.sweeps);
  const json = { contentType: 'application/json' } as const;
  let made: Promise<unknown> | undefined;
  const ensure = (): Promise<unknown> => (made ??= blobs.ensure());
  const text = async (name: string): Promise<string | undefined> => (await blobs.get(name))?.bytes.toString('utf8');
  return {
    savePage: async (reportId, page, items) => {
      await ensure();
      await blobs.put(`pages/${reportId}/${pad(page)}.json`, JSON.stringify(items), json);
    },
    loadPage: async (reportId, page): Promise<readonly MarkedItem[]> => {
      const name = `pages/${reportId}/${pad(page)}.json`;
      const stored = await text(name);
      if (stored === undefined)
        throw new Error(`page ${page} of report ${reportId} is gone (sweeps/${name}): mark again`);
      return parseContractText(z.array(markedItemSchema), stored, `page ${page} of report ${reportId}`);
    },
    saveReport: async (report) => {
      await ensure();
      await blobs.putIfAbsent(`reports/${report.reportId}.json`, JSON.stringify(report), json);
    },
    saveDocument: async (reportId, format, parts) => {
      await ensure();
      const contentType = { csv: 'text/csv; charset=utf-8', html: 'text/html; charset=utf-8' }[format];
      await blobs.putStreamIfAbsent(`documents/${reportId}.${format}`, Readable.from(parts, { objectMode: false }), {
        contentType,
      });
    },
    loadDocument: async function* (reportId, format) {
      const opened = await blobs.openRead(`documents/${reportId}.${format}`);
      if (opened === undefined) return;
      const decoder = new TextDecoder();
      for await (const chunk of opened.stream) yield decoder.decode(chunk as Buffer, { stream: true });
      yield decoder.decode();
    },
    loadReport: async (reportId) => {
      const stored = await text(`reports/${reportId}.json`);
      return stored === undefined ? undefined : parseContractText(sweepReportSchema, stored, `report ${reportId}`);
    },
    latestReportId: async () => {
      let latest: string | undefined;
      for await (const blob of blobs.list('reports/')) latest = /^reports\/(.+)\.json$/.exec(blob.name)?.[1] ?? latest;
      return latest;
    },
    saveProgress: async (reportId, progress) => {
      await blobs.put(`progress/${reportId}.json`, JSON.stringify(progress), json);
    },
    loadProgress: async (reportId) => {
      const stored = await text(`progress/${reportId}.json`);
      return stored === undefined ? undefined : parseContractText(progressSchema, stored, `progress of ${reportId}`);
    },
    audit: async (reportId, page, lines) => {
      await ensure();
      for (let at = 0; at < lines.length; at += linesAtOnce) {
        const some = lines.slice(at, at + linesAtOnce);
        await collected.append(
          `audit/${reportId}/${pad(page)}.ndjson`,
          some.map((line) => `${JSON.stringify(line)}\n`).join(''),
        );
      }
    },
    lease: async () => {
      await ensure();
      const lease = await collected.leaseBlob('lock', leaseSeconds);
      if (lease === undefined) return undefined;
      let heldAt = clock.now().getTime();
      const renew = async (): Promise<boolean> => {
        const now = clock.now().getTime();
        const held = await lease.renew().catch(() => false);
        if (held) heldAt = now;
        return held;
      };
      const timer = setInterval(() => void renew(), (leaseSeconds / 4) * 1000).unref();
      return {
        stillHeld: async () => clock.now().getTime() - heldAt < (leaseSeconds / 2) * 1000 || renew(),
        release: async () => {
          clearInterval(timer);
          await lease.release().catch(() => undefined);
        },
      };
    },
  };
}

/** Table `pins`: partition by kind; a run's row is its id, another's the hash of its id, which may hold any text. */
export function createPins(table: TableStore): SweepPins {
  const key = (kind: PinKind, id: string): string => (kind === 'run' ? id : sha256Hex(id));
  const kinds: readonly PinKind[] = ['run', 'blob', 'job'];
  return {
    list: async function* () {
      for await (const { partitionKey, rowKey, properties } of table.query()) {
        const kind = kinds.find((known) => known === partitionKey);
        if (kind !== undefined) yield { kind, id: typeof properties['id'] === 'string' ? properties['id'] : rowKey };
      }
    },
    has: async (kind, id) => (await table.get(kind, key(kind, id))) !== undefined,
    put: async (kind, id, by, reason) => {
      await table.put({ partitionKey: kind, rowKey: key(kind, id), properties: { id, by, reason } });
    },
    remove: async (kind, id) => {
      await table.delete(kind, key(kind, id));
    },
  };
}
