import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Controller } from './rig.ts';

/** Sends bytes as they are and reads until the other side closes, or `until` is answered. */
export function exchange(
  controller: Controller,
  bytes: string | Buffer | readonly (string | Buffer)[],
  options: { readonly betweenMs?: number; readonly timeoutMs?: number } = {},
): Promise<string> {
  const { hostname, port } = new URL(controller.url);
  const pieces = typeof bytes === 'string' || Buffer.isBuffer(bytes) ? [bytes] : bytes;
  return new Promise((resolve) => {
    const socket: Socket = connect(Number(port), hostname);
    let answer = '';
    const timer = setTimeout(() => socket.destroy(), options.timeoutMs ?? 5_000);
    const finish = (): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.once('close', finish);
    const send = (at: number): void => {
      const piece = pieces[at];
      if (piece === undefined || socket.destroyed) return;
      socket.write(piece);
      if (options.betweenMs === undefined) send(at + 1);
      else setTimeout(() => send(at + 1), options.betweenMs);
    };
    socket.once('connect', () => send(0));
  });
}

/** `400 not-http` of a raw answer: its status and the problem's code. */
export function outcomeOf(answer: string): string {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 'no answer';
  const code = /"code":"([^"]+)"/.exec(answer)?.[1];
  return code === undefined ? status : `${status} ${code}`;
}

/** Resident memory of the controller's process, where the system tells. */
export function residentMegabytes(controller: Controller): number | undefined {
  try {
    const status = readFileSync(`/proc/${controller.child.pid ?? 0}/status`, 'utf8');
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1024;
  } catch {
    return undefined;
  }
}
