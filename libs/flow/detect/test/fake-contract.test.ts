import { FakeRequestTable, requestSourceContract } from '@xva/testkit';

requestSourceContract('the fake', () => {
  const table = new FakeRequestTable({ leaseMs: 60_000, maxAttempts: 3 });
  return Promise.resolve({
    source: () => table.source(),
    insert: (fields) => Promise.resolve(table.insert(fields)),
    row: (requestId) => Promise.resolve(table.find(requestId)),
    expireLeases: () => Promise.resolve(table.expireLeases()),
    endRests: () => {
      table.nowMs += 86_400_000;
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  });
});
