import { HubError } from '@xva/azure-event-hubs';
import { StorageError } from '@xva/azure-storage';
import { SqlError } from '@xva/sql-polling';
import { blame } from '../src/adapters.ts';

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
