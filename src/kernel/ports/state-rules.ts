import { MillraceError } from '../errors.ts';
import type { Json, StateOperation, StateRange } from './state-store.ts';

/** Longest key and longest name of a table, in bytes of UTF-8. */
const NAME_BYTES = 1024;

function refuse(message: string): never {
  throw new MillraceError('BAD_REQUEST', message);
}

function checkName(what: 'table' | 'key', name: string): void {
  if (typeof name !== 'string' || name === '')
    refuse(`A ${what} of the state store needs a name that is not empty.`);
  if (!name.isWellFormed()) refuse(`The ${what} ${JSON.stringify(name)} is not well-formed Unicode.`);
  if (name.length > NAME_BYTES || Buffer.byteLength(name) > NAME_BYTES) {
    refuse(`The ${what} '${name.slice(0, 40)}…' is longer than ${NAME_BYTES} bytes. Shorten it.`);
  }
}

export function checkStateKey(table: string, key: string): void {
  checkName('table', table);
  checkName('key', key);
}

/** The JSON text of a value. Throws BAD_REQUEST for what JSON cannot hold. */
export function encodeStateValue(value: Json): string {
  const text: string | undefined = JSON.stringify(value);
  return text ?? refuse('The value is not JSON: undefined and functions cannot be stored.');
}

/** Checks what no adapter should see: names, versions and times that make no sense. Throws BAD_REQUEST. */
export function checkStateOperations(operations: readonly StateOperation[]): void {
  for (const operation of operations) {
    checkStateKey(operation.table, operation.key);
    const { expect } = operation;
    if (expect !== undefined && !(Number.isSafeInteger(expect) && expect >= 0)) {
      refuse(
        `The expected version of '${operation.key}' is ${expect}; it must be 0 or a version read before.`,
      );
    }
    if (
      operation.kind === 'put' &&
      operation.expiresAtMs !== undefined &&
      !Number.isFinite(operation.expiresAtMs)
    ) {
      refuse(`The entry '${operation.key}' has a time to expire that is not a number.`);
    }
  }
}

/** The range with its defaults filled in. Throws BAD_REQUEST. */
export function checkStateRange(
  table: string,
  range: StateRange,
): { prefix: string; after: string | undefined; limit: number; reverse: boolean } {
  checkName('table', table);
  const { prefix = '', after, limit = 1000, reverse = false } = range;
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) {
    refuse(`The limit of a page is ${limit}; it must be 1 to 10,000.`);
  }
  if (!prefix.isWellFormed() || after?.isWellFormed() === false)
    refuse('The range is not well-formed Unicode.');
  return { prefix, after, limit, reverse };
}

export function checkLease(name: string, owner: string, ttlMs: number): void {
  checkName('key', name);
  checkName('key', owner);
  if (!(ttlMs > 0)) refuse(`The lease '${name}' is asked for ${ttlMs} ms; it must be more than 0.`);
}

/** The error of S1's other half: which entry was not as expected. */
export function stateConflict(table: string, key: string, expected: number, found: number): MillraceError {
  const state = (version: number): string => (version === 0 ? 'absent' : `at version ${version}`);
  const message =
    `The entry '${key}' in '${table}' changed in the meantime: expected ${state(expected)}, ` +
    `found ${state(found)}. Read it again and retry.`;
  return new MillraceError('STATE_CONFLICT', message);
}
