import { type ErrorCode, MillraceError } from '../../kernel/index.ts';

/**
 * What the registry's clients tell apart: the numbers of Confluent's registry (its API reference, "Errors"), whose first three digits are the
 * HTTP status.
 */
const NUMBERS = {
  409: 'SCHEMA_INCOMPATIBLE',
  40401: 'NOT_FOUND',
  40402: 'NOT_FOUND',
  40403: 'NOT_FOUND',
  40404: 'NOT_FOUND',
  40405: 'NOT_FOUND',
  40406: 'NOT_FOUND',
  40407: 'NOT_FOUND',
  40408: 'NOT_FOUND',
  40409: 'NOT_FOUND',
  42201: 'SCHEMA_INVALID',
  42202: 'INVALID_INPUT',
  42203: 'INVALID_INPUT',
  42204: 'INVALID_INPUT',
  42205: 'INVALID_INPUT',
  42206: 'INVALID_INPUT',
} as const satisfies { readonly [number: number]: ErrorCode };

export type RegistryErrorNumber = keyof typeof NUMBERS;

export class RegistryError extends MillraceError {
  readonly number: RegistryErrorNumber;

  constructor(number: RegistryErrorNumber, message: string) {
    super(NUMBERS[number], message);
    this.number = number;
  }
}

export const subjectNotFound = (subject: string): RegistryError =>
  new RegistryError(40401, `Subject '${subject}' not found.`);

export const versionNotFound = (subject: string, version: number | string): RegistryError =>
  new RegistryError(40402, `Version ${version} of subject '${subject}' not found.`);

export const schemaNotFound = (): RegistryError => new RegistryError(40403, 'Schema not found.');
