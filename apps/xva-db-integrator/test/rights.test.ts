import { BlobAccount } from '@xva/azure-storage';
import { TableStore } from '@xva/azure-tables';
import { azuriteAccount, startAzurite, type Azurite } from '@xva/testkit';
import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  AccountSASServices,
  generateAccountSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { probeRequests } from '../src/adapters.ts';
import { createDetectionStore } from '../src/detection-store.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
}, 60_000);
afterAll(() => azurite.stop());

/** A connection string that may do only this: `rl` reads. */
function limitedTo(permissions: string): string {
  const { account, keyBase64 } = azuriteAccount;
  const sas = generateAccountSASQueryParameters(
    {
      expiresOn: new Date(Date.now() + 3_600_000),
      permissions: AccountSASPermissions.parse(permissions),
      services: AccountSASServices.parse('bt').toString(),
      resourceTypes: AccountSASResourceTypes.parse('sco').toString(),
    },
    new StorageSharedKeyCredential(account, keyBase64),
  );
  return `BlobEndpoint=${azurite.blobEndpoint};TableEndpoint=${azurite.tableEndpoint};SharedAccessSignature=${sas.toString()}`;
}

describe('check tries the right to write', () => {
  it('frozen requests, and leaves nothing behind', async () => {
    const container = (connectionString: string) => new BlobAccount({ connectionString }).container('requests');
    const own = container(azurite.connectionString);
    expect(await probeRequests(own)).toContain('not there yet');
    await own.ensure();
    expect(await probeRequests(own)).toBe('there, and can be written');
    const names: string[] = [];
    for await (const { name } of own.list('')) names.push(name);
    expect(names).toEqual([]);
    await expect(probeRequests(container(limitedTo('rl')))).rejects.toMatchObject({ status: 403 });
  });

  it('the state of a definition that only reads, before its table is there and after', async () => {
    const store = (connectionString: string) =>
      createDetectionStore(new TableStore({ table: 'detection', connectionString, maxRetries: 0 }));
    await store(azurite.connectionString).checkWrite('watched');
    await new TableStore({ table: 'detection', connectionString: azurite.connectionString }).ensure();
    await store(azurite.connectionString).checkWrite('watched');
    expect(await store(azurite.connectionString).readLead('watched')).toBeUndefined();
    await expect(store(limitedTo('rl')).checkWrite('watched')).rejects.toMatchObject({ status: 403 });
  });
});
