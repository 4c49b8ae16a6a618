import { HubBusyError, HubError, PublishError } from '@xva/azure-event-hubs';
import { StorageError } from '@xva/azure-storage';
import { SqlError } from '@xva/sql-polling';
import { blame, busyMs } from '../src/adapters.ts';

describe('whose fault an error is', () => {
  it.each([
    ['a deadlock', new SqlError('claim', { code: 'EREQUEST', number: 1205, message: '' }), 'passes'],
    ['a failover', new SqlError('claim', { code: 'EREQUEST', number: 40613, message: '' }), 'passes'],
    ['a wrong password', new SqlError('connect', { code: 'ELOGIN', number: 18456, message: '' }), 'operator'],
    ['a missing right', new SqlError('claim', { code: 'EREQUEST', number: 229, message: '' }), 'operator'],
    ['an overflow in a query', new SqlError('details', { code: 'EREQUEST', number: 8115, message: '' }), 'row'],
    ['storage that is busy', new StorageError('requests', 'ServerBusy', 503, ''), 'passes'],
    ['storage that denies', new StorageError('requests', 'AuthorizationFailure', 403, ''), 'operator'],
    ['a blob that is too large', new StorageError('requests', 'RequestBodyTooLarge', 413, ''), 'row'],
    ['a busy hub', new HubError('ServerBusyError', 'transient', ''), 'passes'],
    ['a rolled key', new HubError('UnauthorizedError', 'operator', ''), 'operator'],
    ['an event that is too large', new HubError('MessageTooLargeError', 'rejected', ''), 'row'],
    ['no identity', Object.assign(new Error(''), { name: 'CredentialUnavailableError' }), 'operator'],
    ['a bug', new TypeError('undefined is not a function'), 'row'],
  ])('%s', (_name, error, expected) => {
    expect(blame(error)).toBe(expected);
  });
});

describe('how long a busy hub is left alone', () => {
  const told = new HubBusyError('The namespace is being throttled. Please wait 7 seconds and try again.');
  it.each([
    ['as it says', told, 7_000],
    ['as it says, through the publisher', new PublishError(told, []), 7_000],
    ['for a while, when it does not say', new HubBusyError('the server is busy'), 4_000],
    ['when the quota is used up', new HubError('QuotaExceededError', 'transient', ''), 4_000],
    ['not less than a moment', new HubBusyError('try again in 0 ms'), 100],
    ['not at all for another trouble', new HubError('DetachForcedError', 'transient', ''), undefined],
    ['nor for another side', new SqlError('claim', { code: 'EREQUEST', number: 40501, message: '' }), undefined],
  ])('%s', (_name, error, expected) => {
    expect(busyMs(error)).toBe(expected);
  });
});
