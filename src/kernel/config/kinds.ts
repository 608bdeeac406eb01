import { isMillraceError } from '../errors.ts';
import { parseDurationMs, parseSizeBytes } from '../units.ts';
import type { Field } from './section.ts';

/** A value in its resolved form, or what is wrong with it: a phrase that follows the name and a colon. */
export type Parsed = { readonly value: unknown } | { readonly problem: string };

const HOST = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/;
const IPV6 = /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(%[A-Za-z0-9]+)?$/;

const problem = (text: string): Parsed => ({ problem: text });
const shown = (raw: unknown): string => JSON.stringify(raw) ?? String(raw);

function parseBoolean(raw: unknown): Parsed {
  if (raw === true || raw === 'true' || raw === '1') return { value: true };
  if (raw === false || raw === 'false' || raw === '0') return { value: false };
  return problem(`${shown(raw)} is not a boolean. Write true or false.`);
}

function wholeNumber(raw: unknown): number | undefined {
  if (typeof raw === 'string' && /^-?\d+$/.test(raw.trim())) raw = Number(raw);
  return Number.isSafeInteger(raw) ? (raw as number) : undefined;
}

function parsePort(raw: unknown): Parsed {
  if (raw === 'off') return { value: 'off' };
  const port = wholeNumber(raw);
  if (port !== undefined && port >= 0 && port <= 65_535) return { value: port };
  return problem(`${shown(raw)} is not a port. Write 1 to 65535, 0 for a free port, or off.`);
}

function quantity(kind: 'integer' | 'duration' | 'bytes', raw: unknown): number | string {
  if (kind === 'integer') return wholeNumber(raw) ?? `${shown(raw)} is not a whole number.`;
  // Variables and flags are always text: '5000' there is the number 5000 of the file.
  const plain = wholeNumber(raw);
  try {
    if (plain !== undefined) raw = plain;
    return kind === 'duration' ? parseDurationMs(raw as string) : parseSizeBytes(raw as string);
  } catch (error) {
    if (isMillraceError(error, 'INVALID_INPUT')) return error.message;
    throw error;
  }
}

function parseNumber(
  field: { kind: 'integer' | 'duration' | 'bytes'; min?: number; max?: number },
  raw: unknown,
): Parsed {
  const value = quantity(field.kind, raw);
  if (typeof value === 'string') return problem(value);
  const unit = { integer: '', duration: ' ms', bytes: ' bytes' }[field.kind];
  if (field.min !== undefined && value < field.min) {
    return problem(`${shown(raw)} is too small. The least is ${field.min}${unit}.`);
  }
  if (field.max !== undefined && value > field.max) {
    return problem(`${shown(raw)} is too large. The most is ${field.max}${unit}.`);
  }
  return { value };
}

function parseText(
  field: { kind: 'string' | 'host' | 'path'; choices?: readonly string[] },
  raw: unknown,
): Parsed {
  if (typeof raw !== 'string' || raw === '') return problem(`${shown(raw)} is not text that says something.`);
  if (field.kind === 'path' && raw.includes('\0')) return problem('a path cannot contain a zero byte.');
  if (field.kind === 'host' && !HOST.test(raw) && !IPV6.test(raw)) {
    return problem(
      `${shown(raw)} is not a host. Write a name or an address without a port, such as 127.0.0.1.`,
    );
  }
  if (field.choices && !field.choices.includes(raw)) {
    return problem(`${shown(raw)} is not one of ${field.choices.join(', ')}.`);
  }
  return { value: raw };
}

function parseList(raw: unknown): Parsed {
  const items = typeof raw === 'string' ? raw.split(',') : raw;
  if (!Array.isArray(items) || items.some((item) => typeof item !== 'string')) {
    return problem(`${shown(raw)} is not a list of texts.`);
  }
  return { value: items.map((item: string) => item.trim()).filter((item) => item !== '') };
}

/** Turns a raw value (text of a flag or variable, or any value of the file) into the field's resolved form. */
export function parseField(field: Field, raw: unknown): Parsed {
  switch (field.kind) {
    case 'boolean':
      return parseBoolean(raw);
    case 'port':
      return parsePort(raw);
    case 'list':
      return parseList(raw);
    case 'integer':
    case 'duration':
    case 'bytes':
      return raw === null && field.default === null ? { value: null } : parseNumber(field, raw);
    default:
      return raw === null && field.default === null ? { value: null } : parseText(field, raw);
  }
}
