import type { Piece } from './recording.ts';

type Random = () => number;
type Mutation = (pieces: readonly Piece[], random: Random) => readonly Buffer[];

const below = (random: Random, limit: number): number => Math.floor(random() * limit);
const replaced = (pieces: readonly Piece[], at: number, ...by: readonly Buffer[]): readonly Buffer[] => [
  ...pieces.slice(0, at),
  ...by,
  ...pieces.slice(at + 1),
];
const changed = (piece: Piece, change: (copy: Buffer) => void): Buffer => {
  const copy = Buffer.from(piece);
  change(copy);
  return copy;
};

/** A frame of type 0 around a performative. */
function frame(body: Buffer, type = 0, channel = 0): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.writeUInt8(2, 4);
  head.writeUInt8(type, 5);
  head.writeUInt16BE(channel, 6);
  return Buffer.concat([head, body]);
}

/** A value of any AMQP type, well-formed or nearly so. */
function anyValue(random: Random, depth = 0): Buffer {
  const kind = below(random, depth > 4 ? 9 : 13);
  const bytes = (count: number): Buffer => Buffer.from(Array.from({ length: count }, () => below(random, 256)));
  const sized = (code: number, content: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt8(code, 0);
    head.writeUInt32BE(content.length, 1);
    return Buffer.concat([head, content]);
  };
  const items = (count: number): Buffer[] => Array.from({ length: count }, () => anyValue(random, depth + 1));
  const counted = (count: number, content: readonly Buffer[]): Buffer => {
    const head = Buffer.alloc(4);
    // Now and then the count lies.
    head.writeUInt32BE(random() < 0.1 ? below(random, 2 ** 32) : count, 0);
    return Buffer.concat([head, ...content]);
  };
  switch (kind) {
    case 0:
      return Buffer.from([[0x40, 0x41, 0x42, 0x43, 0x44, 0x45][below(random, 6)] ?? 0x40]);
    case 1:
      return Buffer.from([[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56][below(random, 7)] ?? 0x50, below(random, 256)]);
    case 2:
      return Buffer.concat([Buffer.from([[0x60, 0x61][below(random, 2)] ?? 0x60]), bytes(2)]);
    case 3:
      return Buffer.concat([Buffer.from([[0x70, 0x71, 0x72, 0x73, 0x74][below(random, 5)] ?? 0x70]), bytes(4)]);
    case 4:
      return Buffer.concat([Buffer.from([[0x80, 0x81, 0x82, 0x83, 0x84][below(random, 5)] ?? 0x80]), bytes(8)]);
    case 5:
      return Buffer.concat([Buffer.from([[0x94, 0x98][below(random, 2)] ?? 0x98]), bytes(16)]);
    case 6:
      return sized([0xb0, 0xb1, 0xb3][below(random, 3)] ?? 0xb1, bytes(below(random, 40)));
    case 7:
      return Buffer.from([0xa1, 2, 0x24, 0x63]);
    case 8:
      return Buffer.from([0xa3, 4, ...Buffer.from('$cbs')]);
    case 9: {
      const count = below(random, 5);
      return sized(0xd0, counted(count, items(count)));
    }
    case 10: {
      const count = below(random, 3) * 2;
      return sized(0xd1, counted(count, items(count)));
    }
    case 11: {
      const count = below(random, 4);
      return sized(0xf0, counted(count, [Buffer.from([0x50]), bytes(count)]));
    }
    default:
      return Buffer.concat([Buffer.from([0]), anyValue(random, depth + 1), anyValue(random, depth + 1)]);
  }
}

/** Every way in which a client's bytes are spoilt. */
export const mutations: Readonly<Record<string, Mutation>> = {
  'flipped bits': (pieces, random) => {
    let result = pieces;
    for (let count = 1 + below(random, 4); count > 0; count -= 1) {
      const at = below(random, result.length);
      const piece = result[at]!;
      const copy = changed(piece, (bytes) => {
        const place = below(random, bytes.length);
        bytes.writeUInt8(bytes.readUInt8(place) ^ (1 << below(random, 8)), place);
      });
      result = replaced(result, at, copy);
    }
    return result;
  },
  'bytes of another value': (pieces, random) => {
    const at = below(random, pieces.length);
    const extreme = [0x00, 0xff, 0x80, 0x7f, 0x45, 0xd0, 0xf0][below(random, 7)] ?? 0;
    return replaced(
      pieces,
      at,
      changed(pieces[at]!, (bytes) => {
        const place = below(random, bytes.length);
        bytes.fill(extreme, place, Math.min(bytes.length, place + 1 + below(random, 6)));
      }),
    );
  },
  'the end missing': (pieces, random) => {
    const at = below(random, pieces.length);
    const piece = pieces[at]!;
    return [...pieces.slice(0, at), piece.subarray(0, below(random, piece.length))];
  },
  'a frame whose size lies': (pieces, random) => {
    const at = below(random, pieces.length);
    const sizes = [0, 1, 7, 8, 9, 65_536, 65_537, 2 ** 24, 2 ** 31, 2 ** 32 - 1, below(random, 1000)];
    return replaced(
      pieces,
      at,
      changed(pieces[at]!, (bytes) => bytes.writeUInt32BE(sizes[below(random, sizes.length)] ?? 0, 0)),
    );
  },
  'a frame left out': (pieces, random) => replaced(pieces, below(random, pieces.length)),
  'a frame twice': (pieces, random) => {
    const at = below(random, pieces.length);
    return replaced(pieces, at, pieces[at]!, pieces[at]!);
  },
  'frames in another order': (pieces, random) => {
    const [a, b] = [below(random, pieces.length), below(random, pieces.length)];
    return pieces.map((piece, index) => (index === a ? pieces[b]! : index === b ? pieces[a]! : piece));
  },
  'another channel or type': (pieces, random) => {
    const at = below(random, pieces.length);
    return replaced(
      pieces,
      at,
      changed(pieces[at]!, (bytes) => {
        if (random() < 0.5) bytes.writeUInt16BE(below(random, 65_536), 6);
        else bytes.writeUInt8(below(random, 256), 4 + below(random, 2));
      }),
    );
  },
  'noise between frames': (pieces, random) => {
    const at = below(random, pieces.length);
    const noise = Buffer.from(Array.from({ length: 1 + below(random, 64) }, () => below(random, 256)));
    return replaced(pieces, at, pieces[at]!, noise);
  },
  'a performative of odd values': (pieces, random) => {
    const at = 1 + below(random, pieces.length - 1);
    const fields = Array.from({ length: below(random, 15) }, () => anyValue(random));
    const content = Buffer.concat(fields);
    const list = Buffer.alloc(9);
    list.writeUInt8(0xd0, 0);
    list.writeUInt32BE(content.length + 4, 1);
    list.writeUInt32BE(fields.length, 5);
    const isSasl = random() < 0.2;
    // Any but a close, after which the emulator has nothing to name.
    const code = isSasl ? 0x40 + below(random, 5) : 0x10 + below(random, 8);
    const body = Buffer.concat([Buffer.from([0, 0x53, code]), list, content]);
    return replaced(pieces, at, frame(body, isSasl ? 1 : 0, below(random, 3)), pieces[at]!);
  },
  'a message of odd values': (pieces, random) => {
    // Requests to $cbs and $management and publications: the payload follows the transfer's own list.
    const transfers = pieces.flatMap((piece, index) => (piece.length > 11 && piece[10] === 0x14 ? [index] : []));
    const at = transfers[below(random, transfers.length)];
    if (at === undefined) return pieces;
    const piece = pieces[at]!;
    const listEnd = piece[11] === 0xc0 ? 13 + piece.readUInt8(12) : 16 + piece.readUInt32BE(12);
    const sections = Array.from({ length: 1 + below(random, 5) }, () =>
      Buffer.concat([Buffer.from([0, 0x53, 0x70 + below(random, 9)]), anyValue(random)]),
    );
    const whole = Buffer.concat([piece.subarray(0, listEnd), ...sections]);
    whole.writeUInt32BE(whole.length, 0);
    return replaced(pieces, at, whole);
  },
  'a bomb': (pieces, random) => {
    const bombs = [
      // An array of 4 billion nulls, a list of 500 million items, a disposition of all deliveries, nesting without end.
      Buffer.from('005310d00000000e0000000140f0000000080fffffff40', 'hex'),
      Buffer.from('005312d0000000041dcd6500', 'hex'),
      Buffer.from('005315c00a0441520070ffffffff41', 'hex'),
      Buffer.concat([Buffer.from([0, 0x53, 0x13]), Buffer.alloc(3000, 0xd0)]),
      Buffer.concat([Buffer.from([0, 0x53, 0x13]), Buffer.alloc(60_000, 0x00)]),
      Buffer.from('005310f0ffffffff0000000040', 'hex'),
    ];
    const at = 1 + below(random, pieces.length - 1);
    return replaced(pieces, at, frame(bombs[below(random, bombs.length)]!), pieces[at]!);
  },
};
