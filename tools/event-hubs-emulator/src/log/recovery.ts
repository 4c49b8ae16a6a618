import type { SegmentDirectory } from './directory.ts';
import type { LogRecord } from './record.ts';
import { CorruptLogError, Segment } from './segment.ts';
import { readSegmentHeader, segmentHeaderBytes, segmentName } from './segment-header.ts';

/**
 * Opens and checks every segment into `segments` and shows every record to `onRecord`; gives the bytes of the torn tail that it cut off. What was opened
 * before a failure is in `segments` too, for the caller to close.
 *
 * @throws CorruptLogError when something other than the tail of the last segment is damaged.
 */
export async function openSegments(
  directory: SegmentDirectory,
  segments: Segment[],
  onRecord: (record: LogRecord) => void,
): Promise<number> {
  const names = await directory.list();
  let cut = 0;
  for (const [index, name] of names.entries()) {
    const isLast = index === names.length - 1;
    const file = await directory.open(name);
    const start = readSegmentHeader(await file.read(0, segmentHeaderBytes));
    if (start === undefined) {
      const mayBeTorn = isLast && file.size <= segmentHeaderBytes;
      await file.close();
      if (!mayBeTorn) throw new CorruptLogError(name, 0, 'bad segment header');
      // A crash while the segment was begun: nothing in it was ever acknowledged.
      await directory.remove(name);
      continue;
    }
    const before = segments.at(-1);
    const segment = new Segment(name, start, file);
    segments.push(segment);
    const expected = before === undefined ? start.basePosition : before.endPosition;
    if (start.basePosition !== expected || segmentName(start.basePosition) !== name) {
      throw new CorruptLogError(name, 0, `begins at ${start.basePosition} where ${expected} was due`);
    }
    cut += await segment.recover(isLast, onRecord);
    // A killed process may leave records that are in the page cache only.
    if (isLast) await file.sync();
    else await file.seal();
  }
  return cut;
}
