import { settle } from './settle.ts';
import type { Item } from './source.ts';

const item = (id: string, index = 0): Item => ({ index, id, json: '{}', bytes: 2 });
const exists = { code: 'TaskExists', message: { lang: 'en-US', value: 'It exists.\nRequestId:1' } };

describe('the answer to a collection', () => {
  it('is read whatever its casing and order', () => {
    const items = [item('A', 0), item('b', 1), item('c', 2), item('d', 3)];
    const settled = settle(items, {
      value: [
        { taskId: 'D', status: 'ServerError', error: { code: 'InternalError', message: { value: 'Oh.\nTime' } } },
        { taskId: 'c', status: 'clienterror', error: { code: 'InvalidPropertyValue', message: { value: 'Bad.\nX' } } },
        { taskId: 'B', status: 'clientError', error: exists },
        { taskId: 'a', status: 'Success' },
      ],
    });
    expect(settled.created.map(({ id }) => id)).toEqual(['A']);
    expect(settled.existed.map(({ id }) => id)).toEqual(['b']);
    expect(settled.refused).toEqual([{ index: 2, taskId: 'c', code: 'InvalidPropertyValue', message: 'Bad.' }]);
    expect(settled.again.map(({ id }) => id)).toEqual(['d']);
    expect(settled.reason).toEqual({ code: 'InternalError', detail: 'Oh.' });
  });

  it('settles nothing that it does not mention', () => {
    for (const answer of [undefined, null, {}, { value: null }, { value: [null, {}, { taskId: 7 }] }, [], 'x']) {
      const settled = settle([item('a')], answer);
      expect(settled).toMatchObject({ created: [], existed: [], refused: [], reason: { code: 'NoResult' } });
      expect(settled.again).toHaveLength(1);
    }
  });

  it('does not take an unknown status for success', () => {
    expect(settle([item('a')], { value: [{ taskId: 'a', status: 'Maybe' }] }).again).toHaveLength(1);
    expect(settle([item('a')], { value: [{ taskId: 'a' }] }).again).toHaveLength(1);
  });

  it('gives an id that was sent twice its two results', () => {
    const settled = settle([item('a', 0), item('A', 1)], {
      value: [
        { taskId: 'a', status: 'success' },
        { taskId: 'A', status: 'clienterror', error: exists },
      ],
    });
    expect([settled.created.length, settled.existed.length, settled.again.length]).toEqual([1, 1, 0]);
  });
});
