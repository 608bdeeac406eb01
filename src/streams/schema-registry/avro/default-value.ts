import type { Json } from '../../../kernel/index.ts';
import type { AvroPrimitive, AvroType } from './model.ts';

const isWhole = (value: Json, bits: number): boolean =>
  typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 2 ** (bits - 1);
const isText = (value: Json): boolean => typeof value === 'string';

/** Floats may be written as text where JSON has no number for them. */
const isFloat = (value: Json): boolean =>
  typeof value === 'number' || ['NaN', 'Infinity', '-Infinity'].includes(value as string);

const PRIMITIVE: { readonly [Name in AvroPrimitive]: (value: Json) => boolean } = {
  null: (value) => value === null,
  boolean: (value) => typeof value === 'boolean',
  int: (value) => isWhole(value, 32),
  long: (value) => isWhole(value, 64),
  float: isFloat,
  double: isFloat,
  bytes: isText,
  string: isText,
};

function fits(type: AvroType, value: Json): boolean {
  const members = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  switch (type.kind) {
    case 'primitive':
      return PRIMITIVE[type.name](value);
    case 'enum':
      return type.symbols.includes(value as string);
    case 'fixed':
      return typeof value === 'string' && value.length === type.size;
    case 'array':
      return Array.isArray(value) && value.every((item) => fits(type.items, item as Json));
    case 'map':
      return members !== undefined && Object.values(members).every((each) => fits(type.values, each as Json));
    case 'union':
      return type.branches.some((branch) => fits(branch, value));
    case 'record':
      return (
        members !== undefined &&
        type.fields.every((field) => {
          const member = (members as { readonly [name: string]: Json | undefined })[field.name];
          return member === undefined ? field.hasDefault : fits(field.type, member);
        })
      );
  }
}

/**
 * Why a default is none for its field, or undefined. Of a union the specification up to 1.11 asks for the first branch; from 1.12 on any will do,
 * and so it does here.
 */
export function defaultProblem(type: AvroType, value: Json): string | undefined {
  return fits(type, value) ? undefined : `is ${JSON.stringify(value)}, which is no value of its type`;
}
