import { createHash } from 'node:crypto';
import type { Part } from '@xva/contracts';
import { StepFailure } from './failures.ts';

/** Markup that would let a file pull in or blow up into something that its hash does not cover. Lower case. */
const forbidden = ['<!doctype', '<!entity', 'http://www.w3.org/2001/xinclude'] as const;
const overlap = Math.max(...forbidden.map((word) => word.length)) - 1;

/** A declared encoding in which the words above could be written with other bytes. */
const declaration = /^(?:\xef\xbb\xbf)?\s*<\?xml[^>]{0,400}?encoding\s*=\s*["']([^"']{0,40})/i;
const plainEncodings = new Set(['utf-8', 'us-ascii', 'ascii']);
const headLength = 512;

/**
 * Passes a part through, byte for byte, and fails before its end unless it is what the manifest says: no byte more or
 * less, the hash, text in UTF-8 (no NUL), no document type, no inclusion. A failure leaves nothing stored.
 *
 * @throws StepFailure `poison`: `part-differs`, `part-forbidden`.
 */
export async function* checkPart(part: Part, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  const text = new TextCheck(part);
  let size = 0;
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
    text.add(chunk);
    yield chunk;
  }
  if (size !== part.size) {
    throw new StepFailure(
      'poison',
      'part-differs',
      `${part.path} has ${size} of the ${part.size} bytes it should have`,
    );
  }
  text.end();
  if (hash.digest('hex') !== part.sha256) {
    throw new StepFailure('poison', 'part-differs', `${part.path} has another hash than the manifest says`);
  }
}

/** Refuses what is no plain text, also across the border of two chunks. */
class TextCheck {
  readonly #part: Part;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true });
  #tail = '';
  #head = '';

  constructor(part: Part) {
    this.#part = part;
  }

  add(chunk: Uint8Array): void {
    if (chunk.includes(0)) throw this.#refusal('a NUL: it is no text');
    this.#decode(chunk, true);
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1').toLowerCase();
    if (this.#head.length < headLength) this.#head += text.slice(0, headLength - this.#head.length);
    const joined = this.#tail + text;
    for (const word of forbidden) {
      if (joined.includes(word)) throw this.#refusal(`a document type or inclusion (${word})`);
    }
    this.#tail = joined.slice(-overlap);
  }

  end(): void {
    this.#decode(new Uint8Array(), false);
    const encoding = declaration.exec(this.#head)?.[1];
    if (encoding !== undefined && !plainEncodings.has(encoding)) {
      throw this.#refusal(`text declared as ${JSON.stringify(encoding)}: it must be UTF-8`);
    }
  }

  #decode(chunk: Uint8Array, stream: boolean): void {
    try {
      this.#utf8.decode(chunk, { stream });
    } catch {
      throw this.#refusal('bytes that are no UTF-8');
    }
  }

  #refusal(what: string): StepFailure {
    return new StepFailure('poison', 'part-forbidden', `${this.#part.path} holds ${what}`);
  }
}
