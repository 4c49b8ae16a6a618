import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { startBlobStandIn } from '@xva/testkit';

/** A Blob stand-in with N blobs, half of them due: prints its connection string; a line on stdin asks what is left. */
const count = Number(process.argv[2]);
const standIn = await startBlobStandIn({ recordRequests: false });
const [old, young] = [new Date('2020-01-01T00:00:00Z'), new Date(Date.now() + 600_000)];
const body = Buffer.from('x');
const names: string[] = [];
for (let index = 0; index < count; index += 1) {
  const hash = createHash('sha1').update(String(index)).digest('hex');
  const name = `scratch/${hash.slice(0, 2)}/${hash}`;
  standIn.put('uploads', { name, body, metadata: {}, lastModified: index % 2 === 0 ? old : young });
  if (index % 2 === 0) names.push(name);
}
standIn.put('sweeps', { name: 'lock' });
console.log(standIn.connectionString);
for await (const line of createInterface({ input: process.stdin })) {
  const blobs = standIn.containers.get('uploads')?.blobs;
  if (line === 'left') {
    const due = names.filter((name) => blobs?.has(name) === true).length;
    console.log(JSON.stringify({ left: blobs?.size ?? 0, due }));
  } else if (line === 'due') {
    console.log(JSON.stringify(names.map((name) => [name, blobs?.get(name)?.etag])));
  }
}
await standIn.stop();
