import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { freePort } from './children.ts';

export const repositoryRoot = fileURLToPath(new URL('../../../', import.meta.url));

const portNames = [
  'azuriteBlob',
  'azuriteQueue',
  'azuriteTable',
  'batch',
  'batchControl',
  'hubs',
  'hubsControl',
  'sql',
  'sqlControl',
  'inputApi',
  'controller',
  'integratorOps',
  'eventControllerOps',
  'gcOps',
] as const;

const layoutSchema = z.strictObject({
  ports: z.record(z.enum(portNames), z.int()),
  secrets: z.strictObject({
    workKey: z.string(),
    ledgerKey: z.string(),
    batchKey: z.string(),
    sqlPassword: z.string(),
    inputApiKey: z.string(),
    submitterKey: z.string(),
    operatorKey: z.string(),
  }),
});

/**
 * Ports and secrets of one lab, made when its folder is first used and kept there (readable by the owner only), so that
 * components find each other again after a restart and a second terminal can join.
 */
export type LabLayout = z.infer<typeof layoutSchema> & { readonly folder: string };

export async function openLayout(folder: string): Promise<LabLayout> {
  const file = join(folder, 'layout.json');
  if (existsSync(file)) return { ...layoutSchema.parse(JSON.parse(readFileSync(file, 'utf8'))), folder };
  mkdirSync(folder, { recursive: true });
  const ports = Object.fromEntries(
    await Promise.all(portNames.map(async (name) => [name, await freePort()] as const)),
  ) as LabLayout['ports'];
  const storageKey = (): string => randomBytes(64).toString('base64');
  const secret = (): string => randomBytes(24).toString('base64url');
  const layout = {
    ports,
    secrets: {
      workKey: storageKey(),
      ledgerKey: storageKey(),
      batchKey: storageKey(),
      sqlPassword: `Lab-${randomUUID()}`,
      inputApiKey: secret(),
      submitterKey: secret(),
      operatorKey: secret(),
    },
  };
  writeFileSync(file, JSON.stringify(layout, null, 2), { mode: 0o600 });
  chmodSync(file, 0o600);
  return { ...layout, folder };
}

export const workAccountName = 'xvawork';
export const ledgerAccountName = 'xvaledger';
export const batchAccountName = 'xvalab';
export const hubName = 'xva-run-requested';
export const poolId = 'xva-pool';
export const engineImage = 'xva-engine:lab';
export const taskIdentityId =
  '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/lab/providers/Microsoft.ManagedIdentity/userAssignedIdentities/xva-task';

/** Connection string of one of Azurite's accounts. */
export function storageConnectionString(layout: LabLayout, account: 'work' | 'ledger'): string {
  const name = account === 'work' ? workAccountName : ledgerAccountName;
  const key = account === 'work' ? layout.secrets.workKey : layout.secrets.ledgerKey;
  const { azuriteBlob, azuriteTable } = layout.ports;
  return (
    `DefaultEndpointsProtocol=http;AccountName=${name};AccountKey=${key};` +
    `BlobEndpoint=http://127.0.0.1:${azuriteBlob}/${name};TableEndpoint=http://127.0.0.1:${azuriteTable}/${name};`
  );
}

export function hubConnectionString(layout: LabLayout): string {
  return `Endpoint=sb://127.0.0.1:${layout.ports.hubs};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;`;
}
