import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { isMillraceError, MillraceError, stateConflict } from '../../kernel/index.ts';
import type { StateRead, StateRow, StateWrite, WriteOutcome } from './state-protocol.ts';

/** Keys are blobs: they compare byte by byte and may hold anything, a zero byte included. */
const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS entries (
    name TEXT NOT NULL, key BLOB NOT NULL, value TEXT NOT NULL, version INTEGER NOT NULL, expires REAL,
    PRIMARY KEY (name, key)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS entries_expires ON entries (expires) WHERE expires IS NOT NULL;
  CREATE TABLE IF NOT EXISTS leases (
    name TEXT PRIMARY KEY, owner TEXT, token INTEGER NOT NULL, expires REAL NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT OR IGNORE INTO counters VALUES ('version', 0);
`;

/** Above every key: no UTF-8 text begins with this byte. */
const END = Buffer.from([0xff]);
const SWEEP_EVERY_MS = 1000;
const SWEEP_ROWS = 500;

/** The state store's SQLite side; synchronous, so it lives in a worker. */
export interface StateEngine {
  read(read: StateRead, nowMs: number): readonly StateRow[];
  /** One transaction and one sync for all writes; a conflict undoes only its own. Throws when the disk fails. */
  commit(writes: readonly StateWrite[], nowMs: number): readonly WriteOutcome[];
  close(): void;
}

interface Row {
  readonly key: Uint8Array;
  readonly value: string;
  readonly version: number;
  readonly expires: number | null;
}

type Statements = { readonly [name: string]: StatementSync };

function prepare(database: DatabaseSync): Statements {
  const live = '(expires IS NULL OR expires > ?)';
  const range = `SELECT key, value, version, expires FROM entries
    WHERE name = ? AND key >= ? AND key < ? AND ${live} ORDER BY key`;
  return Object.fromEntries(
    Object.entries({
      begin: 'BEGIN IMMEDIATE',
      commit: 'COMMIT',
      rollback: 'ROLLBACK',
      savepoint: 'SAVEPOINT one',
      undo: 'ROLLBACK TO one',
      release: 'RELEASE one',
      get: `SELECT key, value, version, expires FROM entries WHERE name = ? AND key = ? AND ${live}`,
      ascending: `${range} LIMIT ?`,
      descending: `${range} DESC LIMIT ?`,
      version: `SELECT version FROM entries WHERE name = ? AND key = ? AND ${live}`,
      put: 'INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)',
      delete: 'DELETE FROM entries WHERE name = ? AND key = ?',
      sweep: `DELETE FROM entries WHERE (name, key) IN
        (SELECT name, key FROM entries WHERE expires <= ? LIMIT ${SWEEP_ROWS})`,
      counter: "SELECT value FROM counters WHERE name = 'version'",
      setCounter: "UPDATE counters SET value = ? WHERE name = 'version'",
      lease: 'SELECT owner, token, expires FROM leases WHERE name = ?',
      setLease: 'INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)',
      endLease: 'UPDATE leases SET owner = NULL, expires = 0 WHERE name = ? AND owner = ?',
    }).map(([name, sql]) => [name, database.prepare(sql)]),
  );
}

/** First key past all that begin with `prefix`. */
function endOf(prefix: Buffer): Buffer {
  if (prefix.length === 0) return END;
  const end = Buffer.from(prefix);
  end[end.length - 1]! += 1;
  return end;
}

function bounds(read: Extract<StateRead, { kind: 'list' }>): [Buffer, Buffer] {
  const prefix = Buffer.from(read.prefix);
  let low = prefix;
  let high = endOf(prefix);
  if (read.after === undefined) return [low, high];
  if (read.reverse) {
    const after = Buffer.from(read.after);
    if (after.compare(high) < 0) high = after;
  } else {
    const next = Buffer.from(`${read.after}\0`);
    if (next.compare(low) > 0) low = next;
  }
  return [low, high];
}

function toRow({ key, value, version, expires }: Row): StateRow {
  return { key: Buffer.from(key).toString(), text: value, version, expiresAtMs: expires ?? undefined };
}

function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(SCHEMA);
  return database;
}

export function openStateEngine(path: string): StateEngine {
  const database = openDatabase(path);
  const sql = prepare(database);
  let lastVersion = (sql.counter!.get() as { value: number }).value;
  let lastSweepMs = 0;

  const versionOf = (name: string, key: Buffer, nowMs: number): number =>
    (sql.version!.get(name, key, nowMs) as { version: number } | undefined)?.version ?? 0;

  const transact = (write: Extract<StateWrite, { kind: 'transact' }>, nowMs: number): void => {
    for (const operation of write.operations) {
      const key = Buffer.from(operation.key);
      if (operation.expect !== undefined) {
        const found = versionOf(operation.table, key, nowMs);
        if (found !== operation.expect)
          throw stateConflict(operation.table, operation.key, operation.expect, found);
      }
      if (operation.kind === 'delete') sql.delete!.run(operation.table, key);
      if (operation.kind !== 'put') continue;
      sql.put!.run(operation.table, key, operation.text, ++lastVersion, operation.expiresAtMs ?? null);
    }
  };

  const acquire = ({ name, owner, ttlMs }: Extract<StateWrite, { kind: 'acquire' }>, nowMs: number) => {
    const lease = sql.lease!.get(name) as
      | { owner: string | null; token: number; expires: number }
      | undefined;
    if (lease && lease.owner !== null && lease.owner !== owner && lease.expires > nowMs) return undefined;
    const token = lease?.owner === owner ? lease.token : (lease?.token ?? 0) + 1;
    sql.setLease!.run(name, owner, token, nowMs + ttlMs);
    return token;
  };

  const apply = (write: StateWrite, nowMs: number): number | undefined => {
    if (write.kind === 'acquire') return acquire(write, nowMs);
    if (write.kind === 'release') sql.endLease!.run(write.name, write.owner);
    else transact(write, nowMs);
    return undefined;
  };

  const attempt = (write: StateWrite, nowMs: number): WriteOutcome => {
    sql.savepoint!.run();
    try {
      const token = apply(write, nowMs);
      sql.release!.run();
      return { token };
    } catch (error) {
      if (!isMillraceError(error, 'STATE_CONFLICT')) throw error;
      sql.undo!.run();
      sql.release!.run();
      return { conflict: error.message };
    }
  };

  const sweep = (nowMs: number): void => {
    if (Math.abs(nowMs - lastSweepMs) < SWEEP_EVERY_MS) return;
    lastSweepMs = nowMs;
    sql.sweep!.run(nowMs);
  };

  return {
    read(read, nowMs) {
      if (read.kind === 'get') {
        const row = sql.get!.get(read.table, Buffer.from(read.key), nowMs) as Row | undefined;
        return row ? [toRow(row)] : [];
      }
      const [low, high] = bounds(read);
      const statement = read.reverse ? sql.descending! : sql.ascending!;
      return (statement.all(read.table, low, high, nowMs, read.limit) as unknown as Row[]).map(toRow);
    },
    commit(writes, nowMs) {
      sql.begin!.run();
      try {
        sweep(nowMs);
        const outcomes = writes.map((write) => attempt(write, nowMs));
        sql.setCounter!.run(lastVersion);
        sql.commit!.run();
        return outcomes;
      } catch (error) {
        if (database.isTransaction) sql.rollback!.run();
        throw error;
      }
    },
    close: () => database.close(),
  };
}

const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** What SQLite reports as the error that crosses the wall (result codes: sqlite.org/rescode.html). */
export function toStateError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  switch (((error as { errcode?: number }).errcode ?? 0) & 0xff) {
    case SQLITE_FULL:
      return new MillraceError(
        'DISK_FULL',
        'The disk is full: the state was not written. Free space and retry.',
      );
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return new MillraceError(
        'DATA_DAMAGED',
        `The state database is damaged (${detail}). Restore it from a backup.`,
      );
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN: {
      const message = `The disk failed the state database (${detail}). Check the disk, then restart the platform.`;
      return new MillraceError('DISK_FAILED', message);
    }
    default:
      return new MillraceError(
        'INTERNAL',
        `The state database failed (${detail}). Report this with the log.`,
      );
  }
}
