import { BlobAccount } from '@xva/azure-storage';
import { startAzurite, type Azurite } from '@xva/testkit';
import { BlobServiceClient } from '@azure/storage-blob';
import { createSweepStorage } from '../src/storage-port.ts';

const objects = { account: 'work', container: 'objects' } as const;
let azurite: Azurite;

beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

describe('touching a blob', () => {
  it('gives it another version and keeps bytes and metadata; what nobody can delete is left as it is', async () => {
    const account = new BlobAccount({ connectionString: azurite.connectionString });
    const storage = createSweepStorage(account, account, { parallelism: 4, batches: true });
    const container = account.container('objects');
    await container.ensure();
    await container.putIfAbsent('a', 'bytes', { metadata: { xva_class: 'object' } });
    const before = await storage.head(objects, 'a');
    expect(await storage.touch(objects, 'a')).toBe('touched');
    const after = await storage.head(objects, 'a');
    expect(after?.etag).not.toBe(before?.etag);
    expect(after?.metadata).toEqual({ xva_class: 'object' });
    expect(await storage.read(objects, 'a')).toBe('bytes');
    const old = [{ name: 'a', etag: before?.etag ?? '' }];
    expect(await storage.delete(objects, old)).toMatchObject([{ outcome: 'changed' }]);
    expect(await storage.touch(objects, 'none')).toBe('gone');
    const client = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient('objects');
    await client.getBlobClient('a').getBlobLeaseClient().acquireLease(60);
    expect(await storage.touch(objects, 'a')).toBe('leased');
  });
});
