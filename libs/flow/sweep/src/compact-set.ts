import { createHash } from 'node:crypto';

/**
 * A set of names in 8 bytes each (twice that for its empty places). It may say yes to a name that was never added, about
 * once in 2^64 / size: whoever asks "is it referenced?" then keeps a thing too many, never one too few.
 */
export class CompactSet {
  #slots = new BigUint64Array(1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(name: string): void {
    if ((this.#size + 1) * 2 > this.#slots.length) this.#grow();
    this.#insert(hashOf(name));
  }

  has(name: string): boolean {
    const hash = hashOf(name);
    for (let at = this.#first(hash); ; at = (at + 1) % this.#slots.length) {
      const found = this.#slots[at];
      if (found === 0n) return false;
      if (found === hash) return true;
    }
  }

  #first(hash: bigint): number {
    return Number(hash % BigInt(this.#slots.length));
  }

  #insert(hash: bigint): void {
    let at = this.#first(hash);
    for (; this.#slots[at] !== 0n; at = (at + 1) % this.#slots.length) if (this.#slots[at] === hash) return;
    this.#slots[at] = hash;
    this.#size += 1;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new BigUint64Array(old.length * 2);
    this.#size = 0;
    for (const hash of old) if (hash !== 0n) this.#insert(hash);
  }
}

/** The first 64 bits of a SHA-256, which the names of objects are already; 0 means an empty place. */
function hashOf(name: string): bigint {
  const hex = /^[0-9a-f]{64}$/.test(name) ? name : createHash('sha256').update(name).digest('hex');
  const hash = BigInt(`0x${hex.slice(0, 16)}`);
  return hash === 0n ? 1n : hash;
}
