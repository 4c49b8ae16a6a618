import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * Opens an emulator's durable state: a SQLite file in WAL mode, or `:memory:`.
 *
 * `migrations[i]` brings the schema from version i to i + 1 and runs in one transaction. With `synchronous` FULL an
 * acknowledged write survives a power cut, with NORMAL (default) a kill -9 of the process.
 *
 * @throws Error when the file was written by a newer emulator than this one.
 */
export function openStore(
  file: string,
  migrations: readonly string[],
  synchronous: 'NORMAL' | 'FULL' = 'NORMAL',
): DatabaseSync {
  if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true });
  const db = new DatabaseSync(file);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}; PRAGMA foreign_keys = ON;`);
  const version = (db.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
  if (version > migrations.length) {
    db.close();
    throw new Error(`${file} has schema version ${version}, newer than ${migrations.length}: use a newer emulator`);
  }
  for (let index = version; index < migrations.length; index += 1) {
    db.exec('BEGIN');
    try {
      db.exec(migrations[index] ?? '');
      db.exec(`PRAGMA user_version = ${index + 1}`);
      db.exec('COMMIT');
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      db.close();
      throw error;
    }
  }
  return db;
}
