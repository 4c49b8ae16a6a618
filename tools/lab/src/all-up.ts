import { connect } from 'node:net';
import { eventually } from './eventually.ts';
import type { LabLayout } from './layout.ts';

const portsOfProcesses = [
  'azuriteBlob',
  'azuriteTable',
  'batch',
  'hubs',
  'sql',
  'inputApi',
  'controller',
  'integratorOps',
  'eventControllerOps',
  'gcOps',
] as const;

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.setTimeout(2_000, () => end(false));
  });
}

/** Waits until every process of a lab listens (again). @throws DeadlineError naming those that do not. */
export async function untilAllUp(layout: LabLayout, timeoutMs = 60_000): Promise<void> {
  let away: readonly string[] = [];
  await eventually(
    'every process listens',
    async () => {
      const answers = await Promise.all(
        portsOfProcesses.map(async (name) => ({ name, up: await accepts(layout.ports[name]) })),
      );
      away = answers.filter((answer) => !answer.up).map((answer) => answer.name);
      return away.length === 0 ? true : undefined;
    },
    timeoutMs,
    100,
  ).catch((error: unknown) => {
    throw error instanceof Error ? new Error(`${error.message}; away: ${away.join(', ')}`, { cause: error }) : error;
  });
}
