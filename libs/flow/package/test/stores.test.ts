import { deadLetterSchema, type DeadLetter } from '@xva/contracts';
import {
  deadLettersContract,
  MemoryDeadLetters,
  MemoryWorkObjects,
  sampleEvent,
  workObjectsContract,
} from '@xva/testkit';

workObjectsContract('fake', () => {
  const objects = new MemoryWorkObjects();
  return Promise.resolve({
    objects,
    putRequest: (name, bytes) => Promise.resolve(void objects.requests.set(name, bytes)),
    readObject: (name) => Promise.resolve(objects.objects.get(name)),
    deleteObject: (name) => Promise.resolve(void objects.objects.delete(name)),
  });
});

const letter = (id: string, message: string): DeadLetter =>
  deadLetterSchema.parse({
    schemaVersion: '1.0',
    id,
    state: 'waiting',
    eventId: id,
    runId: null,
    requestKey: sampleEvent().event.data.requestKey,
    traceId: null,
    event: { encoding: 'utf8', data: '{}' },
    contentSha256: '0'.repeat(64),
    source: null,
    reason: 'test',
    message,
    defects: [],
    attempts: 1,
    firstSeen: '2026-09-30T18:00:00Z',
    lastSeen: '2026-09-30T18:00:00Z',
    history: [],
  });

deadLettersContract('fake', () => Promise.resolve(new MemoryDeadLetters()), letter);
