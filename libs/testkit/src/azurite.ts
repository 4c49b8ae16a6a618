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
  /** Ends it in order and starts it anew on the same ports; needs a folder, or nothing would be left. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

interface AzuriteProcess {
  readonly child: ChildProcess;
  readonly ports: ReadonlyMap<string, string>;
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

async function launch(args: readonly string[]): Promise<AzuriteProcess> {
  const script = createRequire(import.meta.url).resolve('azurite/dist/src/azurite.js');
  const flags = ['--silent', '--skipApiVersionCheck', '--disableTelemetry'];
  const child = spawn(process.execPath, ['--import', endsWithParent, script, ...flags, ...args], {
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
  return { child, ports };
}

/**
 * Azurite as a process of its own on free ports of 127.0.0.1, in memory or, with `folder`, on disk. On disk it saves
 * every few seconds and at an orderly end only: a kill -9 would lose what it had acknowledged.
 */
export async function startAzurite(folder?: string): Promise<Azurite> {
  const store = folder === undefined ? ['--inMemoryPersistence'] : ['--location', folder];
  const listening = (blob: string, table: string): string[] =>
    [
      ['blob', blob],
      ['queue', '0'],
      ['table', table],
    ].flatMap(([name = '', port = '']) => [`--${name}Port`, port, `--${name}Host`, '127.0.0.1']);
  let running = await launch([...store, ...listening('0', '0')]);
  const { ports } = running;
  const endpoint = (service: string): string =>
    `http://127.0.0.1:${ports.get(service) ?? ''}/${azuriteAccount.account}`;
  const blobEndpoint = endpoint('Blob');
  const tableEndpoint = endpoint('Table');
  return {
    blobEndpoint,
    tableEndpoint,
    connectionString: `DefaultEndpointsProtocol=http;AccountName=${azuriteAccount.account};AccountKey=${azuriteAccount.keyBase64};BlobEndpoint=${blobEndpoint};TableEndpoint=${tableEndpoint};`,
    get pid() {
      return running.child.pid ?? 0;
    },
    restart: async () => {
      if (folder === undefined) throw new Error('azurite keeps nothing: start it with a folder');
      const { child } = running;
      const over = new Promise((resolve) => child.once('exit', resolve));
      const closed = new Promise<void>((resolve) => {
        let services = 0;
        child.stdout?.on('data', (chunk: Buffer) => {
          services += chunk.toString().match(/successfully closed/g)?.length ?? 0;
          if (services === 3) resolve();
        });
      });
      child.kill('SIGTERM');
      await Promise.race([closed, over]);
      // All is on disk: what holds it up now is the watch over its parent.
      child.stdin?.end();
      await over;
      running = await launch([...store, ...listening(ports.get('Blob') ?? '', ports.get('Table') ?? '')]);
    },
    stop: () => kill(running.child),
  };
}
