import fc from 'fast-check';
import rhea from 'rhea';
import { encodeDelivery } from './delivery.ts';
import { AmqpDecodeError } from './encoding.ts';
import { batchFormat, readPublication } from './publication.ts';

const { message } = rhea;

describe('publications', () => {
  it('keep the bare message byte for byte and put the annotations in front of it', () => {
    const sent = message.encode({
      message_annotations: { 'x-opt-mine': 'kept', 'x-opt-offset': '77', 'x-opt-partition-key': 'k' },
      message_id: 'm',
      application_properties: { a: 1 },
      body: message.data_section(Buffer.from('body')),
    });
    const { partitionKey, events } = readPublication(sent, 0);
    expect(partitionKey).toBe('k');
    const [event] = events;
    expect(sent.subarray(sent.length - event!.bare.length).equals(event!.bare)).toBe(true);
    const metrics = { lastSequence: 9, lastOffset: 99, lastEnqueuedMs: 5 };
    const delivery = encodeDelivery({ ...event!, sequence: 3, offset: 42, enqueuedMs: 1234 }, metrics, 6);
    expect(delivery.subarray(delivery.length - event!.bare.length).equals(event!.bare)).toBe(true);
    expect(message.decode(delivery as never)).toMatchObject({
      delivery_annotations: { last_enqueued_sequence_number: 9, last_enqueued_offset: '99' },
      message_annotations: {
        'x-opt-mine': 'kept',
        'x-opt-partition-key': 'k',
        'x-opt-sequence-number': 3,
        'x-opt-offset': '42',
      },
      message_id: 'm',
      application_properties: { a: 1 },
    });
  });

  it('refuse malformed bytes with one kind of error, never by crashing or reading beyond', () => {
    const good = message.encode({
      message_annotations: { k: 'v' },
      body: message.data_section(Buffer.from('abc')),
    });
    fc.assert(
      fc.property(fc.constantFrom(0, batchFormat, 7), fc.nat(), fc.nat(255), fc.nat(), (format, at, value, cut) => {
        const bytes = Buffer.from(good.subarray(0, 1 + (cut % good.length)));
        bytes.writeUInt8(value, at % bytes.length);
        try {
          readPublication(bytes, format);
        } catch (error) {
          expect(error).toBeInstanceOf(AmqpDecodeError);
        }
      }),
      { numRuns: 2000 },
    );
    expect(() => readPublication(Buffer.alloc(0), batchFormat)).toThrow('the batch holds no event');
    expect(() => readPublication(Buffer.alloc(0), 0)).toThrow('the message is empty');
  });
});
