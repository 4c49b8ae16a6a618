import type { BlobAccount, BlobContainer } from '@xva/azure-storage';
import { ledgerContainers, manifestSchema, parseContractText, resultPaths, workContainers } from '@xva/contracts';
import type { SweepBlobs, SweepLedger, SweepStorage } from '@xva/flow-sweep';
import { sweepReportSchema } from '@xva/flow-sweep';
import type { TableStore } from '@xva/azure-tables';

function blobsOf(container: BlobContainer): SweepBlobs {
  return {
    list: () => container.list(),
    head: (name) => container.head(name),
    delete: (name, etag) => container.delete(name, etag),
  };
}

/** Storage as the sweep flow needs it; containers are named here and nowhere else in the collector. */
export function createSweepStorage(work: BlobAccount, ledger: BlobAccount): SweepStorage {
  const objects = work.container(workContainers.objects);
  const results = ledger.container(ledgerContainers.results);
  return {
    listRunContainers: () => work.listContainers('run-'),
    headRunContainer: async (name) => {
      for await (const container of work.listContainers(name)) if (container.name === name) return container;
      return undefined;
    },
    deleteRunContainer: (name) => work.container(name).deleteContainer(),
    blobs: {
      object: blobsOf(objects),
      request: blobsOf(work.container(workContainers.requests)),
      'dead-letter': blobsOf(ledger.container(ledgerContainers.deadLetters)),
    },
    packageObjects: async (packageId) => {
      const blob = await objects.get(packageId);
      if (blob === undefined) return undefined;
      const manifest = parseContractText(manifestSchema, blob.bytes.toString('utf8'), `manifest ${packageId}`);
      return [packageId, ...manifest.parts.map((part) => part.sha256)];
    },
    hasPublishedResult: async (runId) => (await results.head(resultPaths.pointer(runId))) !== undefined,
  };
}

/** Reports in container `sweeps`, newest name last; audit lines in table `audit`. */
export function createSweepLedger(ledger: BlobAccount, audit: TableStore): SweepLedger {
  const reports = ledger.container(ledgerContainers.sweeps);
  let sequence = 0;
  return {
    saveReport: async (report) => {
      await reports.ensure();
      await reports.putIfAbsent(`${report.reportId}.json`, JSON.stringify(report), { contentType: 'application/json' });
    },
    loadReport: async (reportId) => {
      const blob = await reports.get(`${reportId}.json`);
      if (blob === undefined) return undefined;
      return parseContractText(sweepReportSchema, blob.bytes.toString('utf8'), `report ${reportId}`);
    },
    latestReportId: async () => {
      let latest: string | undefined;
      for await (const blob of reports.list()) latest = blob.name.replace(/\.json$/, '');
      return latest;
    },
    audit: async (entry) => {
      sequence += 1;
      const at = String(entry['at']);
      const rowKey = `${at}-${String(sequence).padStart(8, '0')}`;
      await audit.put({
        partitionKey: `sweep-${String(entry['reportId'])}`,
        rowKey,
        properties: Object.fromEntries(Object.entries(entry).map(([name, value]) => [name, value ?? ''])),
      });
    },
  };
}
