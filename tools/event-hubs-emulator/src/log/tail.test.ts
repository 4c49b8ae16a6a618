import { encodeRecord, type LogRecord } from './record.ts';
import { Tail } from './tail.ts';

function small(sequence: number): LogRecord {
  const nothing = Buffer.alloc(0);
  const event = { header: nothing, annotationCount: 0, annotations: nothing, bare: Buffer.from(`event ${sequence}`) };
  const place = { position: 100 * sequence, syncedTo: 0, baseSequence: sequence, enqueuedMs: 0, attributes: {} };
  return encodeRecord({ ...place, events: [event] }).record;
}

describe('the tail of a log', () => {
  it('keeps of each record its own bytes alive, not the pool that they could have been cut from', () => {
    for (let sequence = 0; sequence < 100; sequence += 1) {
      const { byteLength, events } = small(sequence);
      expect(events[0]!.bare.buffer.byteLength).toBe(byteLength);
    }
  });

  it('counts what small records take beside their bytes', () => {
    const tail = new Tail(100_000);
    for (let sequence = 0; sequence < 1000; sequence += 1) tail.push(small(sequence));
    const kept = 1000 - [...Array(1000).keys()].filter((sequence) => tail.from(sequence) === undefined).length;
    expect(kept).toBeGreaterThan(90);
    expect(kept).toBeLessThan(130);
    expect(tail.from(999)).toHaveLength(1);
    tail.dropBefore(2000);
    expect(tail.from(999)).toBeUndefined();
    tail.push(small(2000));
    expect(tail.from(2000)).toHaveLength(1);
  });

  it('keeps the youngest record however large it is', () => {
    const tail = new Tail(1);
    for (let sequence = 0; sequence < 3; sequence += 1) tail.push(small(sequence));
    expect(tail.from(2)).toHaveLength(1);
    expect(tail.from(1)).toBeUndefined();
  });
});
