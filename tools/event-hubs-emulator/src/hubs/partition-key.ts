/**
 * Jenkins' lookup3 over the UTF-8 bytes (Bob Jenkins, lookup3.c, `hashlittle2`, both seeds zero), its two results folded
 * to a signed 16-bit number. All of the service's clients compute the same.
 */
export function hashOfKey(partitionKey: string): number {
  const [b, c] = lookup3(Buffer.from(partitionKey, 'utf8'));
  return ((b ^ c) << 16) >> 16;
}

/** Which partition a key belongs to, as the clients for JavaScript and .NET have it (the remainder keeps the sign). */
export function partitionOfKey(partitionKey: string, partitionCount: number): number {
  return Math.abs(hashOfKey(partitionKey) % partitionCount);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** Little-endian word at `at`, as if the key were followed by zero bytes. */
function wordAt(data: Buffer, at: number): number {
  let word = 0;
  for (let index = 0; index < 4 && at + index < data.length; index += 1) {
    word |= data.readUInt8(at + index) << (8 * index);
  }
  return word;
}

function lookup3(data: Buffer): readonly [b: number, c: number] {
  let a = (0xdeadbeef + data.length) | 0;
  let b = a;
  let c = a;
  let at = 0;
  while (data.length - at > 12) {
    a = (a + wordAt(data, at)) | 0;
    b = (b + wordAt(data, at + 4)) | 0;
    c = (c + wordAt(data, at + 8)) | 0;
    a = (a - c) ^ rotate(c, 4);
    c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 6);
    a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 8);
    b = (b + a) | 0;
    a = (a - c) ^ rotate(c, 16);
    c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 19);
    a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 4);
    b = (b + a) | 0;
    at += 12;
  }
  if (at === data.length) return [b, c];
  a = (a + wordAt(data, at)) | 0;
  b = (b + wordAt(data, at + 4)) | 0;
  c = (c + wordAt(data, at + 8)) | 0;
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  c = ((c ^ b) - rotate(b, 24)) | 0;
  return [b, c];
}
