import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { isMillraceError, MillraceError, stateConflict } from '../../kernel/index.ts';
import type { EncodedOperation, StateRead, StateRow, StateWrite, WriteOutcome } from './state-protocol.ts';

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
  /** Bounds the database at so many pages of 4 KB; past it, writes are refused as on a full disk. */
  limitPages(pages: number): void;
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
  return new SqliteStateEngine(openDatabase(path));
}

class SqliteStateEngine implements StateEngine {
  readonly #database: DatabaseSync;
  readonly #sql: Statements;
  #lastVersion: number;
  #lastSweepMs = 0;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#sql = prepare(database);
    this.#lastVersion = (this.#sql.counter!.get() as { value: number }).value;
  }

  read(read: StateRead, nowMs: number): readonly StateRow[] {
    if (read.kind === 'get') {
      const row = this.#sql.get!.get(read.table, Buffer.from(read.key), nowMs) as Row | undefined;
      return row ? [toRow(row)] : [];
    }
    const [low, high] = bounds(read);
    const statement = read.reverse ? this.#sql.descending! : this.#sql.ascending!;
    return (statement.all(read.table, low, high, nowMs, read.limit) as unknown as Row[]).map(toRow);
  }

  commit(writes: readonly StateWrite[], nowMs: number): readonly WriteOutcome[] {
    this.#sql.begin!.run();
    try {
      this.#sweep(nowMs);
      const outcomes = writes.map((write) => this.#attempt(write, nowMs));
      this.#sql.setCounter!.run(this.#lastVersion);
      this.#sql.commit!.run();
      return outcomes;
    } catch (error) {
      if (this.#database.isTransaction) this.#sql.rollback!.run();
      throw error;
    }
  }

  limitPages(pages: number): void {
    this.#database.exec(`PRAGMA max_page_count = ${Math.trunc(pages)}`);
  }

  close(): void {
    this.#database.close();
  }

  #attempt(write: StateWrite, nowMs: number): WriteOutcome {
    this.#sql.savepoint!.run();
    try {
      const token = this.#apply(write, nowMs);
      this.#sql.release!.run();
      return { token };
    } catch (error) {
      if (!isMillraceError(error, 'STATE_CONFLICT')) throw error;
      this.#sql.undo!.run();
      this.#sql.release!.run();
      return { conflict: error.message };
    }
  }

  #apply(write: StateWrite, nowMs: number): number | undefined {
    if (write.kind === 'acquire') return this.#acquire(write, nowMs);
    if (write.kind === 'release') this.#sql.endLease!.run(write.name, write.owner);
    else for (const operation of write.operations) this.#operate(operation, nowMs);
    return undefined;
  }

  #operate(operation: EncodedOperation, nowMs: number): void {
    const { kind, table, expect } = operation;
    const key = Buffer.from(operation.key);
    if (expect !== undefined) {
      const row = this.#sql.version!.get(table, key, nowMs) as { version: number } | undefined;
      const found = row?.version ?? 0;
      if (found !== expect) throw stateConflict(table, operation.key, expect, found);
    }
    if (kind === 'delete') this.#sql.delete!.run(table, key);
    if (kind !== 'put') return;
    this.#sql.put!.run(table, key, operation.text, ++this.#lastVersion, operation.expiresAtMs ?? null);
  }

  #acquire(
    { name, owner, ttlMs }: Extract<StateWrite, { kind: 'acquire' }>,
    nowMs: number,
  ): number | undefined {
    const lease = this.#sql.lease!.get(name) as
      | { owner: string | null; token: number; expires: number }
      | undefined;
    if (lease && lease.owner !== null && lease.owner !== owner && lease.expires > nowMs) return undefined;
    const token = lease?.owner === owner ? lease.token : (lease?.token ?? 0) + 1;
    this.#sql.setLease!.run(name, owner, token, nowMs + ttlMs);
    return token;
  }

  #sweep(nowMs: number): void {
    if (Math.abs(nowMs - this.#lastSweepMs) < SWEEP_EVERY_MS) return;
    this.#lastSweepMs = nowMs;
    this.#sql.sweep!.run(nowMs);
  }
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
