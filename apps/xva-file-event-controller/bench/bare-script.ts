import { BlobServiceClient } from '@azure/storage-blob';

/**
 * What somebody would write in an afternoon: for each event read the request, ask for the package, write its parts and its
 * manifest unless they are there, post the job. `bare-script.ts SETTINGS`, settings as JSON; a line `{"ms":…}` at the end.
 */
interface Settings {
  readonly connectionString: string;
  readonly inputApiUrl: string;
  readonly controllerUrl: string;
  readonly parallel: number;
  readonly events: readonly { readonly id: string; readonly request: string; readonly key: object }[];
}

const { connectionString, inputApiUrl, controllerUrl, parallel, events } = JSON.parse(
  process.argv[2] ?? '{}',
) as Settings;
const service = BlobServiceClient.fromConnectionString(connectionString);
const requests = service.getContainerClient('requests');
const objects = service.getContainerClient('objects');

async function put(name: string, bytes: Buffer): Promise<void> {
  try {
    await objects.getBlockBlobClient(name).upload(bytes, bytes.length, { conditions: { ifNoneMatch: '*' } });
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 409) throw error;
  }
}

async function one({ id, request, key }: Settings['events'][number]): Promise<number> {
  const started = performance.now();
  const body = await requests.getBlobClient(request).downloadToBuffer();
  const headers = { 'x-api-key': 'input-api-key', 'content-type': 'application/json' };
  const answer = await fetch(`${inputApiUrl}/v1/packages`, { method: 'POST', body, headers });
  const manifest = Buffer.from(await answer.arrayBuffer());
  const packageId = (answer.headers.get('etag') ?? '').replaceAll('"', '');
  const { parts } = JSON.parse(manifest.toString()) as { parts: { sha256: string }[] };
  await Promise.all(
    parts.map(async ({ sha256 }) => {
      const part = await fetch(`${inputApiUrl}/v1/packages/${packageId}/objects/${sha256}`, { headers });
      await put(sha256, Buffer.from(await part.arrayBuffer()));
    }),
  );
  await put(packageId, manifest);
  const job = { schemaVersion: '1.0', eventId: id, requestKey: key, packageId, priority: 3 };
  const posted = await fetch(`${controllerUrl}/v1/runs`, {
    method: 'POST',
    body: JSON.stringify(job),
    headers: { 'x-api-key': 'job-api-key', 'content-type': 'application/json' },
  });
  await posted.arrayBuffer();
  if (!posted.ok) throw new Error(`job API answered ${posted.status}`);
  return performance.now() - started;
}

const started = performance.now();
const took: number[] = [];
let next = 0;
await Promise.all(
  Array.from({ length: parallel }, async () => {
    for (let event = events[next++]; event !== undefined; event = events[next++]) took.push(await one(event));
  }),
);
process.stdout.write(`${JSON.stringify({ ms: performance.now() - started, took })}\n`);
