import { createLogger, describeError } from './logging.ts';

function logged(fields: object): Record<string, unknown> {
  const lines: string[] = [];
  const logger = createLogger('test', 'info', { write: (line) => void lines.push(line) });
  logger.warn(fields, 'it failed');
  return JSON.parse(lines.join('')) as Record<string, unknown>;
}

class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly code = 'E42';
}

describe('an error in a log line', () => {
  const error = new RefusedError('no', { cause: new RangeError('too much') });
  const expected = {
    name: 'RefusedError',
    message: 'no',
    code: 'E42',
    cause: { name: 'RangeError', message: 'too much' },
  };

  it('is told with its own fields and its cause, described before or not', () => {
    expect(logged({ error })['error']).toEqual(expected);
    expect(logged({ error: describeError(error) })['error']).toEqual(expected);
  });

  it('may be anything that was thrown', () => {
    expect(logged({ error: 'plain text' })['error']).toEqual({ message: 'plain text' });
    expect(logged({ error: undefined })['error']).toBeUndefined();
  });

  it('hides secrets that stand beside it', () => {
    expect(logged({ password: 'p', settings: { apiKey: 'k' } })).toMatchObject({
      password: '[redacted]',
      settings: { apiKey: '[redacted]' },
    });
  });
});
