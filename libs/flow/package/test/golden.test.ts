import { readdirSync, readFileSync } from 'node:fs';
import { runEventMajor, runEventUpcasts } from '@xva/contracts';
import { parseEvent, StepFailure } from '../src/index.ts';

/*
 * Events as they were once published, each with what this code makes of it. A golden file is never edited: when the
 * current version changes, the event of the old one stays here and a new one comes beside it.
 */
const folder = new URL('golden/', import.meta.url);
const read = (name: string): Buffer => readFileSync(new URL(name, folder));
const published = readdirSync(folder).filter((name) => name.endsWith('.event.json'));

describe('events of all versions', () => {
  it.each(published)('%s is still understood, in the same way', (name) => {
    const expected: unknown = JSON.parse(read(name.replace('.event.json', '.parsed.json')).toString());
    expect(parseEvent(read(name))).toEqual(expected);
  });

  it('there is a golden event of every version from the first to the current one', () => {
    const majors = published.map((name) => Number(/^run-requested-v(\d+)/.exec(name)?.[1]));
    expect([...new Set(majors)].sort()).toEqual(Array.from({ length: runEventMajor + 1 }, (_unused, major) => major));
    expect([...runEventUpcasts.keys()]).toEqual(Array.from({ length: runEventMajor }, (_unused, major) => major));
  });

  it('an upcast changes nothing that it was given', () => {
    for (const name of published) {
      const event = JSON.parse(read(name).toString()) as Record<string, unknown>;
      const before = JSON.stringify(event);
      for (const upcast of runEventUpcasts.values()) upcast(Object.freeze(event));
      expect(JSON.stringify(event)).toBe(before);
    }
  });

  it.each<[string, (event: Record<string, unknown>, data: Record<string, unknown>) => void, string]>([
    ['a key without a book', (_event, data) => delete data['book'], 'data.requestKey.book'],
    ['a revision that is text', (_event, data) => (data['revision'] = '1'), 'data.requestKey.revision'],
    ['no id', (event) => delete event['id'], 'id'],
    ['data that are a list', (event) => (event['data'] = []), 'data'],
    ['no hash', (_event, data) => delete data['requestSha256'], 'data.requestSha256'],
  ])('version 0 with %s is refused by name', (_what, spoil, path) => {
    const event = JSON.parse(read('run-requested-v0.event.json').toString()) as Record<string, unknown>;
    spoil(event, event['data'] as Record<string, unknown>);
    const refused = (): unknown => parseEvent(Buffer.from(JSON.stringify(event)));
    expect(refused).toThrow(StepFailure);
    expect(refused).toThrow(path);
  });
});
