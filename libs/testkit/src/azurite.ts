import { spawn, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

/** Azurite's own account and key, the same on every machine and no secret. */
export const azuriteAccount = {
  account: 'devstoreaccount1',
  keyBase64: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
} as const;

export interface Azurite {
  readonly blobEndpoint: string;
  readonly tableEndpoint: string;
  readonly connectionString: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Sends SIGKILL and waits for the end. */
async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const over = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await over;
}

/** Loaded before Azurite: it leaves when its standard input closes, so that a test killed with -9 leaves none behind. */
const endsWithParent = 'data:text/javascript,process.stdin.resume().on("end",()=>process.exit())';

/** Azurite as a process of its own, in memory, on free ports of 127.0.0.1. */
export async function startAzurite(): Promise<Azurite> {
  const script = createRequire(import.meta.url).resolve('azurite/dist/src/azurite.js');
  const services = ['blob', 'queue', 'table'].flatMap((name) => [`--${name}Port`, '0', `--${name}Host`, '127.0.0.1']);
  const flags = ['--inMemoryPersistence', '--silent', '--skipApiVersionCheck', '--disableTelemetry'];
  const child = spawn(process.execPath, ['--import', endsWithParent, script, ...services, ...flags], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined);
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const ports = new Map<string, string>();
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`azurite ended: ${said.join('')}`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        said.push(line);
        const found =
          /Azurite (Blob|Table) service (?:is )?successfully listen\w* (?:at|on) http:\/\/127\.0\.0\.1:(\d+)/.exec(
            line,
          );
        if (found?.[1] !== undefined && found[2] !== undefined) ports.set(found[1], found[2]);
        if (ports.size === 2) resolve();
      });
    });
  } catch (error) {
    await kill(child);
    throw error;
  }
  const endpoint = (service: string): string =>
    `http://127.0.0.1:${ports.get(service) ?? ''}/${azuriteAccount.account}`;
  const blobEndpoint = endpoint('Blob');
  const tableEndpoint = endpoint('Table');
  return {
    blobEndpoint,
    tableEndpoint,
    connectionString: `DefaultEndpointsProtocol=http;AccountName=${azuriteAccount.account};AccountKey=${azuriteAccount.keyBase64};BlobEndpoint=${blobEndpoint};TableEndpoint=${tableEndpoint};`,
    pid: child.pid ?? 0,
    stop: () => kill(child),
  };
}
