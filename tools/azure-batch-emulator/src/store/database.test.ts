import { Database } from './database.ts';

describe('a transaction', () => {
  it('that SQLite has rolled back by itself (a full disk, say) fails with the reason, and the next one goes on', () => {
    const database = new Database(':memory:');
    database.transaction(() => database.run("INSERT INTO meta (key, value) VALUES ('test', 'kept')"));
    expect(() =>
      database.transaction(() => {
        database.run("INSERT INTO meta (key, value) VALUES ('other', 'gone')");
        database.run("INSERT OR ROLLBACK INTO meta (key, value) VALUES ('test', 'twice')");
      }),
    ).toThrow(/UNIQUE constraint failed/);
    database.transaction(() => database.run("INSERT INTO meta (key, value) VALUES ('third', 'kept')"));
    expect(database.all("SELECT key FROM meta WHERE key IN ('test', 'other', 'third') ORDER BY key")).toEqual([
      { key: 'test' },
      { key: 'third' },
    ]);
    database.close();
  });
});
