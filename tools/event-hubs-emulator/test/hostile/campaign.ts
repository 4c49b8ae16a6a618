import { connect } from 'node:net';
import { mutations } from './mutations.ts';
import type { Piece } from './recording.ts';

/** What a peer that misbehaves saw. */
export interface Outcome {
  readonly mutation: string;
  /** `named`: closed with an error that has a name; `quiet`: the emulator had nothing to object to, or waited for more. */
  readonly end: 'named' | 'unnamed' | 'quiet' | 'hung';
}

const saslFailure = Buffer.from('0000001002010000005344c003015002', 'hex');
/** Answers are awaited for so long before the peer leaves; and the emulator has so long to let it go. */
const patienceMs = 40;
const hangMs = 5000;

/** Sends the pieces as a client would, but does not care for answers; tells how the connection ended. */
function attack(port: number, pieces: readonly Buffer[]): Promise<Outcome['end']> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const chunks: Buffer[] = [];
    let left = false;
    let closedByPeer = false;
    const leave = (): void => {
      left = true;
      socket.end();
    };
    const patience = setTimeout(leave, patienceMs);
    const hang = setTimeout(() => {
      resolve('hung');
      socket.destroy();
    }, hangMs);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => {
      closedByPeer = !left;
      if (!left) leave();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(patience);
      clearTimeout(hang);
      const answer = Buffer.concat(chunks);
      const named = /(amqp|com\.microsoft):[a-z:-]+/.test(answer.toString('latin1')) || answer.includes(saslFailure);
      // Without any byte of a header from us there is no layer in which to name anything but the header itself.
      resolve(closedByPeer ? (named || answer.length <= 8 ? 'named' : 'unnamed') : 'quiet');
    });
    for (const piece of pieces) if (piece.length > 0) socket.write(piece);
  });
}

/**
 * Spoils recorded clients in every way, `count` times in all, a few side by side; the seed decides everything.
 * `each` is called after every one.
 */
export async function campaign(
  port: number,
  recordings: readonly (readonly Piece[])[],
  count: number,
  random: () => number,
  each: (outcome: Outcome, done: number) => void,
): Promise<void> {
  const names = Object.keys(mutations);
  let started = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    while (started < count) {
      const mutation = names[started % names.length]!;
      started += 1;
      const recording = recordings[Math.floor(random() * recordings.length)]!;
      const pieces = mutations[mutation]!(recording, random);
      const end = await attack(port, pieces);
      done += 1;
      each({ mutation, end }, done);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
}
