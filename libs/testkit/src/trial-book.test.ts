import { rmSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderTrials, trialBook } from './trial-book.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const page = `node_modules/.cache/trial-book-${process.pid}.md`;

describe('a trial book', () => {
  afterAll(() => rmSync(join(root, page), { force: true }));

  it('draws a table per section and escapes what would break it', () => {
    const text = renderTrials('Title', 'a.test.ts', [
      { section: 'faults', name: 'a | b', observed: 'one\nrun' },
      { section: 'crash points', name: 'c', observed: 'd' },
    ]);
    expect(text).toContain('| a \\| b | one run |');
    expect(text.indexOf('## faults')).toBeLessThan(text.indexOf('## crash points'));
  });

  it('refuses an empty book, a doubled trial, a missing page and a page that differs; writes it when asked', async () => {
    await expect(trialBook('T', page, 's', undefined).close()).rejects.toThrow('recorded no trial');
    const write = trialBook('T', page, 's', 'true');
    write.record({ section: 'a', name: 'b', observed: 'c' });
    expect(() => write.record({ section: 'a', name: 'b', observed: 'd' })).toThrow('twice');
    const missing = trialBook('T', page, 's', undefined);
    missing.record({ section: 'a', name: 'b', observed: 'c' });
    await expect(missing.close()).rejects.toThrow('is not what');
    await write.close();
    await missing.close();
    expect(readFileSync(join(root, page), 'utf8')).toMatch(/\| b +\| c +\|/);
    const other = trialBook('T', page, 's', undefined);
    other.record({ section: 'a', name: 'b', observed: 'changed' });
    await expect(other.close()).rejects.toThrow('is not what');
  });
});
