import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  rmdirSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clientFor, completed, ended, fileText, inState, startProcess, until, type Started } from './helpers.ts';

const folder = mkdtempSync(join(tmpdir(), 'batch-cli-'));
const at = (name: string): string => join(folder, name);
const children: Started[] = [];

async function start(config: unknown, ...args: string[]): Promise<Started> {
  writeFileSync(at('config.json'), JSON.stringify(config));
  const started = await startProcess('--config', at('config.json'), ...args);
  children.push(started);
  return started;
}

afterAll(async () => {
  for (const { child } of children) await ended(child, 'SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

const sh = (text: string): string => `/bin/sh -c "${text}"`;
const pool = { id: 'pool', vmSize: 'lab', taskSlotsPerNode: 2 };

describe('the command', () => {
  it('listens with TLS beside plain HTTP, and refuses files that do not fit', async () => {
    const files = ['-keyout', at('key.pem'), '-out', at('cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', ...files, ...subject], {
      stdio: 'ignore',
    });
    const { endpoints } = await start({ pools: [pool] }, '--tls-cert', at('cert.pem'), '--tls-key', at('key.pem'));
    const tls = (endpoints as unknown as { batchTls: string }).batchTls;
    const body = await new Promise<string>((resolve, reject) => {
      const options = { ca: readFileSync(at('cert.pem')), headers: { authorization: 'Bearer x' } };
      request(`${tls}/pools/pool?api-version=2025-06-01`, options, (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => (text += chunk.toString())).on('end', () => resolve(text));
      })
        .on('error', reject)
        .end();
    });
    expect((JSON.parse(body) as { url: string }).url).toBe(`${tls}/pools/pool`);
    await expect(start({}, '--tls-cert', at('cert.pem'))).rejects.toThrow(/go together/);
    await expect(start({}, '--tls-cert', at('key.pem'), '--tls-key', at('key.pem'))).rejects.toThrow(/do not fit/);
    await expect(start({ taskLimits: { cgroup: '/proc/no' } })).rejects.toThrow(/no writable cgroup/);
  });

  it('limits what tasks may use; more memory than that ends one by a signal', async () => {
    const { endpoints } = await start({
      pools: [pool],
      taskLimits: { memoryBytes: 64 * 1024 * 1024, openFiles: 77, cpuSeconds: 5 },
    });
    const client = clientFor(endpoints.batch);
    await client.job.add({ id: 'job', poolInfo: { poolId: 'pool' } });
    await client.task.add('job', { id: 'limits', commandLine: sh('ulimit -n; ulimit -t') });
    await client.task.add('job', { id: 'missing', commandLine: 'no-such-program x' });
    const hungry = `${process.execPath} -e "const all = []; setInterval(() => all.push(Buffer.alloc(8e6, 1)), 5)"`;
    await client.task.add('job', { id: 'hungry', commandLine: hungry });
    await completed(client, 'job', 'limits');
    expect(await fileText(client, 'job', 'limits', 'stdout.txt')).toBe('77\n5\n');
    expect((await completed(client, 'job', 'missing')).executionInfo?.failureInfo?.code).toBe('CommandProgramNotFound');
    expect((await completed(client, 'job', 'hungry')).executionInfo).toMatchObject({
      exitCode: -9,
      failureInfo: { code: 'FailureExitCode' },
    });
  });

  it('puts tasks into control groups where the kernel has them', async () => {
    const root = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));
    const cgroup = join(root ?? '/sys/fs/cgroup', `azure-batch-emulator-test-${process.pid}`);
    let started: Started;
    try {
      started = await start({ pools: [pool], taskLimits: { cgroup } });
    } catch (error) {
      expect(String(error)).toMatch(/no writable cgroup v2/);
      console.log('no writable cgroup v2 here: not tried');
      return;
    }
    const client = clientFor(started.endpoints.batch);
    await client.job.add({ id: 'job', poolInfo: { poolId: 'pool' } });
    // What leaves the process group and loses its environment's marker is in the control group all the same.
    const commandLine = sh(`cat /proc/self/cgroup; env -i setsid sleep 300 & echo $! > ${at('escaped')}; sleep 300`);
    await client.task.add('job', { id: 'held', commandLine });
    await inState(client, 'job', 'held', 'running');
    await until('the task to have started', async () =>
      existsSync(at('escaped')) && readFileSync(at('escaped'), 'utf8') !== '' ? true : undefined,
    );
    await client.task.terminate('job', 'held');
    await completed(client, 'job', 'held');
    expect(await fileText(client, 'job', 'held', 'stdout.txt')).toContain('azure-batch-emulator-test');
    const pid = Number(readFileSync(at('escaped'), 'utf8'));
    await until('the escaped process to be gone', async () => {
      try {
        return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')) ? true : undefined;
      } catch {
        return true;
      }
    });
    await until('the group to be gone', async () =>
      readdirSync(cgroup, { withFileTypes: true }).some((entry) => entry.isDirectory()) ? undefined : true,
    );
    await ended(started.child, 'SIGTERM');
    rmdirSync(cgroup);
  });

  it('maps images to local commands, and runs others by docker or podman', async () => {
    const docker = at('docker');
    // Stands for docker: notes its arguments; `run` runs what comes after the image.
    writeFileSync(
      docker,
      `#!/bin/sh\necho "$@" >> ${at('docker.log')}\n[ "$1" = run ] || exit 0\nwhile [ "$1" != some/image:1 ]; do shift; done; shift\nexec "$@"\n`,
    );
    chmodSync(docker, 0o755);
    const { endpoints } = await start({
      pools: [pool],
      containerImages: { 'mapped:*': { env: { A: 'image', B: 'image' }, command: ['/usr/bin/env', 'WRAPPED=yes'] } },
      containerRuntime: docker,
      taskLimits: { memoryBytes: 1_000_000_000, openFiles: 99 },
    });
    const client = clientFor(endpoints.batch);
    await client.job.add({ id: 'job', poolInfo: { poolId: 'pool' } });
    await client.task.add('job', {
      id: 'mapped',
      commandLine: sh('echo $WRAPPED $A $B'),
      containerSettings: { imageName: 'mapped:1' },
      environmentSettings: [{ name: 'B', value: 'task' }],
    });
    await client.task.add('job', {
      id: 'docker',
      commandLine: 'sleep 300',
      containerSettings: { imageName: 'some/image:1', containerRunOptions: '--cpus 1' },
    });
    await completed(client, 'job', 'mapped');
    expect(await fileText(client, 'job', 'mapped', 'stdout.txt')).toBe('yes image task\n');
    await inState(client, 'job', 'docker', 'running');
    await until('docker to run', async () =>
      /^run /m.test(existsSync(at('docker.log')) ? readFileSync(at('docker.log'), 'utf8') : '') ? true : undefined,
    );
    const line = /^run .*$/m.exec(readFileSync(at('docker.log'), 'utf8'))?.[0] ?? '';
    expect(line).toMatch(
      /^run --rm --name azure-batch-emulator-\S+ --label \S+ --volume \S+ --workdir \S+\/wd .*--env AZ_BATCH_TASK_ID .*--memory 1000000000b --ulimit nofile=99 --cpus 1 some\/image:1 sleep 300$/,
    );
    await client.task.terminate('job', 'docker');
    await completed(client, 'job', 'docker');
    await until('the container to be removed', async () =>
      /^rm --force azure-batch-emulator-/m.test(readFileSync(at('docker.log'), 'utf8')) ? true : undefined,
    );
  });

  it('holds each account to its requests a second, and throttles, denies and fails by the control port', async () => {
    const { endpoints } = await start({ pools: [pool], limits: { requestsPerSecond: 20 } });
    const ask = () =>
      fetch(`${endpoints.batch}/pools/pool?api-version=2025-06-01`, { headers: { authorization: 'Bearer x' } });
    const answers = await Promise.all(Array.from({ length: 40 }, ask));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(10);
    expect(refused[0]?.headers.get('retry-after')).toBe('1');
    const verb = async (name: string, body: unknown) => {
      const answer = await fetch(`${endpoints.control}/control/${name}`, {
        method: 'POST',
        body: JSON.stringify(body),
      });
      const answered: unknown = await answer.json();
      return { status: answer.status, body: answered };
    };
    expect((await verb('preempt-node', {})).status).toBe(400);
    expect((await verb('throttle', { status: 418 })).status).toBe(400);
    for (const [name, body] of [
      ['throttle', { op: 'Job_List', status: 503, retryAfter: 30 }],
      ['deny-identity', { identity: 'x' }],
      ['fail-resize', { pool: 'pool' }],
    ] as const) {
      expect(await verb(name, body)).toMatchObject({
        status: 200,
        body: { id: expect.stringMatching(/^fault-/) as string },
      });
    }
    const throttled = await until('a turn', async () => {
      const answer = await fetch(`${endpoints.batch}/jobs?api-version=2025-06-01`, {
        headers: { authorization: 'Bearer x' },
      });
      return answer.status === 429 ? undefined : answer;
    });
    expect([throttled.status, throttled.headers.get('retry-after')]).toEqual([503, '30']);
  });
});
