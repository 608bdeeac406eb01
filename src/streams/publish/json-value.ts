import { isUtf8 } from 'node:buffer';
import { type Json, LIMITS } from '../../kernel/index.ts';
import type { KeyPath } from '../json/key-path.ts';
import { KEY_MISSING, KEY_NOT_SCALAR, KEY_NOT_WELL_FORMED } from './keys.ts';

/** Deeper values are checked as text, which knows the limit. */
const PLAIN_DEPTH = 16;

/**
 * Whether `value` is what JSON.parse would give for its JSON text: then it can be checked as it is, without the way
 * through text. Not so are `undefined`, NaN, dates, objects of classes, and what has a `toJSON`.
 */
export function isPlainJson(value: unknown, depthLeft = PLAIN_DEPTH): value is Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value);
    case 'object':
      return value === null || (depthLeft > 0 && isPlainContainer(value, depthLeft - 1));
    default:
      return false;
  }
}

/**
 * The value that the bytes hold, where they are nothing but one JSON value that the scanner accepts too: then a stream with a
 * schema, which needs the value anyway, has no use for the scan. Undefined for all others; the scan says what is wrong with them.
 */
export function parsedWhole(bytes: Uint8Array): Json | undefined {
  const last = bytes.length - 1;
  if (last < 0 || bytes[0]! <= SPACE || bytes[last]! <= SPACE || !isUtf8(bytes)) return undefined;
  try {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
    const value = JSON.parse(text) as Json;
    return isWithin(value, LIMITS.jsonDepth) ? value : undefined;
  } catch {
    return undefined;
  }
}

const SPACE = 0x20;

/** Whether nothing in a value of JSON.parse lies deeper, and every number is one: 1e999 is read as infinite. */
function isWithin(value: Json, depthLeft: number): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  if (depthLeft === 0) return false;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++)
      if (!isWithin(value[index]!, depthLeft - 1)) return false;
    return true;
  }
  for (const name in value)
    if (!isWithin((value as Record<string, Json>)[name]!, depthLeft - 1)) return false;
  return true;
}

function isPlainContainer(value: object, depthLeft: number): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if ('toJSON' in value) return false;
  if (prototype === Object.prototype) {
    for (const name in value)
      if (!isPlainJson((value as Record<string, unknown>)[name], depthLeft)) return false;
    return true;
  }
  if (prototype !== Array.prototype || !Array.isArray(value)) return false;
  for (let index = 0; index < value.length; index++) if (!isPlainJson(value[index], depthLeft)) return false;
  return true;
}

/** The bytes of keys, one after the other in the same few bytes: what `of` gives holds until it is called again. */
export class KeyBytes {
  readonly #scratch = new Uint8Array(64);
  readonly #views: (Uint8Array | undefined)[] = [];

  /** The key at `path` in a plain JSON value, or why there is none; the same as `keyOfJson` finds in its text. */
  of(value: Json, path: KeyPath): Uint8Array | string {
    let found: unknown = value;
    for (const { name } of path.segments) {
      const isObject = typeof found === 'object' && found !== null && !Array.isArray(found);
      if (!isObject || !Object.hasOwn(found as object, name)) return KEY_MISSING;
      found = (found as Record<string, unknown>)[name];
    }
    if (typeof found === 'string') return this.#ofText(found);
    if (typeof found === 'object') return KEY_NOT_SCALAR;
    return this.#ofText(JSON.stringify(found));
  }

  #ofText(text: string): Uint8Array | string {
    const size = text.length;
    if (size <= this.#scratch.length) {
      let at = 0;
      for (; at < size; at++) {
        const code = text.charCodeAt(at);
        if (code > 127) break;
        this.#scratch[at] = code;
      }
      if (at === size) return (this.#views[size] ??= this.#scratch.subarray(0, size));
    }
    return text.isWellFormed() ? Buffer.from(text) : KEY_NOT_WELL_FORMED;
  }
}
