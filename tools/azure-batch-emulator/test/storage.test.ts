import type { BatchServiceClient } from '@azure/batch';
import { ContainerSASPermissions, generateBlobSASQueryParameters, type ContainerClient } from '@azure/storage-blob';
import { startBatchEmulator, type BatchEmulator } from '../src/index.ts';
import { startAzurite, storageAccount, type Storage } from './azurite.ts';
import { clientFor, completed, fileText } from './helpers.ts';

const identity = '/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/tasks';
const stranger = `${identity}-of-another-pool`;
const reference = { resourceId: identity };

let storage: Storage;
let emulator: BatchEmulator;
let client: BatchServiceClient;
let container: ContainerClient;

beforeAll(async () => {
  storage = await startAzurite();
  const grant = { ...storageAccount, blobEndpoint: storage.blobEndpoint };
  emulator = await startBatchEmulator({
    config: {
      pools: [{ id: 'pool', vmSize: 'lab', taskSlotsPerNode: 4, identities: [identity.toUpperCase()] }],
      identities: { [identity]: { storage: [grant] }, [stranger]: { storage: [grant] } },
      nodeBootMs: 0,
    },
  });
  client = clientFor(emulator.endpoints['batch'] ?? '');
  container = storage.service.getContainerClient('run');
  await container.create();
  await container.getBlockBlobClient('in/a b/é&1.txt').uploadData(Buffer.from('first'));
  await container.getBlockBlobClient('in/2.bin').uploadData(Buffer.alloc(300_000, 7));
  await container.getBlockBlobClient('other/3.txt').uploadData(Buffer.from('not this'));
  await client.job.add({ id: 'job', poolInfo: { poolId: 'pool' } });
});
afterAll(async () => {
  await emulator.stop();
  await storage.stop();
});
afterEach(() => emulator.faults.clear());

function sas(): string {
  const permissions = ContainerSASPermissions.parse('racwl');
  const expiresOn = new Date(Date.now() + 3_600_000);
  return generateBlobSASQueryParameters(
    { containerName: 'run', permissions, expiresOn },
    storage.credential,
  ).toString();
}

async function text(blob: string): Promise<string> {
  return (await container.getBlobClient(blob).downloadToBuffer()).toString();
}

async function run(task: Parameters<BatchServiceClient['task']['add']>[1]) {
  await client.task.add('job', task);
  return (await completed(client, 'job', task.id)).executionInfo;
}

describe('resource files', () => {
  it('come by identity, one by URL and a tree by prefix, with their modes', async () => {
    const ended = await run({
      id: 'by-identity',
      commandLine: `/bin/sh -c "cat 'tree/in/a b/é&1.txt' one/x.sh; wc -c < tree/in/2.bin; find . -type f | wc -l; stat -c %a one/x.sh tree/in/2.bin"`,
      resourceFiles: [
        {
          httpUrl: container.getBlobClient('in/a b/é&1.txt').url,
          filePath: 'one/x.sh',
          fileMode: '0550',
          identityReference: reference,
        },
        { storageContainerUrl: container.url, blobPrefix: 'in/', filePath: 'tree', identityReference: reference },
      ],
    });
    expect(ended).toMatchObject({ exitCode: 0 });
    expect(await fileText(client, 'job', 'by-identity', 'stdout.txt')).toBe('firstfirst300000\n3\n550\n770\n');
  });

  it('come by SAS', async () => {
    const ended = await run({
      id: 'by-sas',
      commandLine: 'cat in/2.bin one',
      resourceFiles: [
        { httpUrl: `${container.getBlobClient('in/2.bin').url}?${sas()}`, filePath: 'one' },
        { storageContainerUrl: `${container.url}?${sas()}`, blobPrefix: 'in/2' },
      ],
    });
    expect(ended).toMatchObject({ exitCode: 0 });
    expect((await fileText(client, 'job', 'by-sas', 'stdout.txt')).length).toBe(600_000);
  });

  it.each([
    ['a missing blob', { httpUrl: 'in/none', filePath: 'x', identityReference: reference }, 'BlobNotFound'],
    ['no right', { httpUrl: 'in/2.bin', filePath: 'x' }, 'BlobAccessDenied'],
    [
      'an unknown identity',
      { httpUrl: 'in/2.bin', filePath: 'x', identityReference: { resourceId: '/x' } },
      'BlobAccessDenied',
    ],
    [
      'an identity that the pool lacks',
      { httpUrl: 'in/2.bin', filePath: 'x', identityReference: { resourceId: stranger } },
      'BlobAccessDenied',
    ],
    [
      'a way out of the task',
      { httpUrl: 'in/2.bin', filePath: '../../x', identityReference: reference },
      'ResourceFileCreateFailed',
    ],
  ])('fail the task before its process: %s', async (name, file, code) => {
    const id = name.replaceAll(' ', '-');
    const resourceFiles = [{ ...file, httpUrl: container.getBlobClient(file.httpUrl).url }];
    const ended = await run({ id, commandLine: '/bin/true', resourceFiles, constraints: { maxTaskRetryCount: 3 } });
    expect(ended).toMatchObject({ result: 'failure', retryCount: 0, failureInfo: { category: 'UserError', code } });
    expect(ended?.exitCode).toBeUndefined();
  });

  it('are denied when a fault says so', async () => {
    emulator.faults.arm({ point: 'identity', match: { identity }, action: { kind: 'deny' } });
    const resourceFiles = [
      { httpUrl: container.getBlobClient('in/2.bin').url, filePath: 'x', identityReference: reference },
    ];
    const denied = await run({ id: 'denied', commandLine: '/bin/true', resourceFiles });
    expect(denied?.failureInfo).toMatchObject({ code: 'BlobAccessDenied' });
    const allowed = await run({ id: 'allowed', commandLine: '/bin/true', resourceFiles });
    expect(allowed).toMatchObject({ exitCode: 0 });
  });
});

describe('output files', () => {
  const target = (path: string, headers = {}) => ({
    container: { containerUrl: container.url, path, identityReference: reference, ...headers },
  });

  it('go up from the working directory by their conditions, small and large, with headers', async () => {
    const large = 20 * 1024 * 1024;
    const ended = await run({
      id: 'outputs',
      commandLine: `/bin/sh -c "echo said; mkdir -p out/deep; echo -n one > out/1.txt; echo -n two > out/deep/2.txt; head -c ${large} /dev/zero > large.bin; : > empty"`,
      environmentSettings: [{ name: 'WHICH', value: 'out' }],
      outputFiles: [
        {
          filePattern: '../std*.txt',
          destination: target('logs/outputs'),
          uploadOptions: { uploadCondition: 'taskcompletion' },
        },
        {
          filePattern: '$WHICH/**/*.txt',
          destination: target('tree'),
          uploadOptions: { uploadCondition: 'tasksuccess' },
        },
        {
          filePattern: 'out/1.txt',
          destination: target('failed.txt'),
          uploadOptions: { uploadCondition: 'taskfailure' },
        },
        {
          filePattern: 'large.bin',
          destination: target('large', {
            uploadHeaders: [
              { name: 'x-ms-meta-run', value: 'r1' },
              { name: 'x-ms-blob-content-type', value: 'text/x' },
            ],
          }),
          uploadOptions: { uploadCondition: 'tasksuccess' },
        },
        { filePattern: 'empty', destination: target('empty'), uploadOptions: { uploadCondition: 'tasksuccess' } },
        { filePattern: 'none*', destination: target('none'), uploadOptions: { uploadCondition: 'tasksuccess' } },
      ],
    });
    expect(ended).toMatchObject({ exitCode: 0, result: 'success' });
    expect(await text('logs/outputs/stdout.txt')).toBe('said\n');
    expect(await text('logs/outputs/stderr.txt')).toBe('');
    expect([await text('tree/1.txt'), await text('tree/deep/2.txt')]).toEqual(['one', 'two']);
    const properties = await container.getBlobClient('large').getProperties();
    expect(properties).toMatchObject({ contentLength: large, contentType: 'text/x', metadata: { run: 'r1' } });
    expect(await container.getBlobClient('empty').exists()).toBe(true);
    expect(await container.getBlobClient('failed.txt').exists()).toBe(false);
  });

  it('go up by SAS from a failed task, which keeps its exit code', async () => {
    const ended = await run({
      id: 'failed',
      commandLine: '/bin/sh -c "echo why >&2; exit 7"',
      outputFiles: [
        {
          filePattern: '../stderr.txt',
          destination: { container: { containerUrl: `${container.url}?${sas()}`, path: 'why.txt' } },
          uploadOptions: { uploadCondition: 'taskfailure' },
        },
      ],
    });
    expect(ended).toMatchObject({ exitCode: 7, failureInfo: { code: 'FailureExitCode' } });
    expect(await text('why.txt')).toBe('why\n');
  });

  it('fail the task when they cannot go up', async () => {
    const outputFiles = [
      {
        filePattern: '../stdout.txt',
        destination: { container: { containerUrl: `${storage.blobEndpoint}/absent`, identityReference: reference } },
        uploadOptions: { uploadCondition: 'tasksuccess' as const },
      },
    ];
    const absent = await run({ id: 'absent', commandLine: '/bin/true', outputFiles });
    expect(absent).toMatchObject({
      exitCode: 0,
      result: 'failure',
      failureInfo: { code: 'FileUploadContainerNotFound' },
    });
    emulator.faults.arm({ point: 'upload', match: { task: 'broken' }, action: { kind: 'fail' } });
    const broken = await run({ id: 'broken', commandLine: '/bin/true', outputFiles });
    expect(broken?.failureInfo).toMatchObject({ code: 'FileUploadMiscError', category: 'ServerError' });
  });
});
