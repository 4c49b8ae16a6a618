import { createHash } from 'node:crypto';
import type { Part } from '@xva/contracts';
import { StepFailure } from './failures.ts';

/** Markup that would let a file pull in or blow up into something that its hash does not cover. Lower case. */
const forbidden = [Buffer.from('<!doctype'), Buffer.from('<!entity')] as const;
const overlap = Math.max(...forbidden.map((word) => word.length)) - 1;

/**
 * Passes a part through, byte for byte, and fails before its end unless it is what the manifest says: no byte more or
 * less, the hash, text (no NUL, which also rules out UTF-16), no document type. A failure leaves nothing stored.
 *
 * @throws StepFailure `poison`: `part-differs`, `part-forbidden`.
 */
export async function* checkPart(part: Part, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let size = 0;
  let tail = '';
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > part.size) {
      throw new StepFailure(
        'poison',
        'part-differs',
        `${part.path} is longer than the ${part.size} bytes it should have`,
      );
    }
    hash.update(chunk);
    tail = refuseMarkup(part, tail, chunk);
    yield chunk;
  }
  if (size !== part.size) {
    throw new StepFailure(
      'poison',
      'part-differs',
      `${part.path} has ${size} of the ${part.size} bytes it should have`,
    );
  }
  if (hash.digest('hex') !== part.sha256) {
    throw new StepFailure('poison', 'part-differs', `${part.path} has another hash than the manifest says`);
  }
}

/** Looks for forbidden markup also across the border of two chunks; returns what the next chunk needs. */
function refuseMarkup(part: Part, tail: string, chunk: Uint8Array): string {
  if (chunk.includes(0)) throw new StepFailure('poison', 'part-forbidden', `${part.path} holds a NUL: it is no text`);
  const text = tail + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1').toLowerCase();
  for (const word of forbidden) {
    if (text.includes(word.toString('latin1'))) {
      throw new StepFailure(
        'poison',
        'part-forbidden',
        `${part.path} holds a document type (${word.toString('latin1')})`,
      );
    }
  }
  return text.slice(-overlap);
}
