import { spawn, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';

/** Azurite's own account and key, the same on every machine. */
export const storageAccount = {
  account: 'devstoreaccount1',
  keyBase64: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
};

export interface Storage {
  readonly blobEndpoint: string;
  readonly service: BlobServiceClient;
  readonly credential: StorageSharedKeyCredential;
  stop(): Promise<void>;
}

export async function startAzurite(): Promise<Storage> {
  const script = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
  const flags = ['--inMemoryPersistence', '--silent', '--skipApiVersionCheck', '--disableTelemetry'];
  const child: ChildProcess = spawn(
    process.execPath,
    [script, '--blobPort', '0', '--blobHost', '127.0.0.1', ...flags],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const port = await new Promise<string>((resolve, reject) => {
    let said = '';
    child.once('exit', () => reject(new Error(`azurite ended: ${said}`)));
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const found = /successfully listen(?:s|ing) on http:\/\/127\.0\.0\.1:(\d+)/.exec(said);
      if (found?.[1] !== undefined) resolve(found[1]);
    });
  });
  const blobEndpoint = `http://127.0.0.1:${port}/${storageAccount.account}`;
  const credential = new StorageSharedKeyCredential(storageAccount.account, storageAccount.keyBase64);
  const service = new BlobServiceClient(blobEndpoint, credential);
  return {
    blobEndpoint,
    credential,
    service,
    stop: async () => {
      const over = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await over;
    },
  };
}
