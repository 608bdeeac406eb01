import { avroFormat } from './avro/format.ts';
import { jsonFormat } from './json-format.ts';
import { plainProto, protobufFormat, serializedProto } from './protobuf/format.ts';
import {
  type JsonRules,
  type ParsedSchema,
  SchemaError,
  type SchemaFormat,
  type SchemaText,
  type SchemaType,
} from './types.ts';

const FORMATS: { readonly [Type in SchemaType]: SchemaFormat } = {
  AVRO: avroFormat,
  JSON: jsonFormat,
  PROTOBUF: protobufFormat,
};

const parse = ({ type, text, references }: SchemaText): ParsedSchema => FORMATS[type].parse(text, references);

/** What is kept of a schema, or why it is none. */
export type PreparedSchema =
  /** `identity` is the same for texts that are the same schema. */
  { readonly text: string; readonly identity: string } | { readonly invalid: string };

/** Checks a schema and gives it the form in which it is kept. */
export function prepareSchema(input: {
  readonly schema: SchemaText;
  readonly normalize: boolean;
}): PreparedSchema {
  const { schema, normalize } = input;
  try {
    const parsed = parse(schema);
    const text = normalize ? parsed.normalized() : parsed.text;
    return { text, identity: schema.type === 'PROTOBUF' ? plainProto(text) : text };
  } catch (error) {
    // What a parser of ours did not foresee is a defect; what it did is told to whoever sent the schema.
    if (error instanceof SchemaError) return { invalid: error.message };
    if (error instanceof RangeError) return { invalid: 'it is nested too deeply' };
    throw error;
  }
}

export interface ComparedSchemas {
  readonly next: SchemaText;
  readonly earlier: readonly SchemaText[];
  readonly backward: boolean;
  readonly forward: boolean;
  readonly rules: JsonRules;
}

/**
 * Why `next` does not go with earlier schemas. Backward: readers with the next one read what the earlier wrote; forward: readers with an
 * earlier one read what the next writes.
 */
export function compareSchemas(input: ComparedSchemas): readonly string[] {
  const { next, earlier, backward, forward, rules } = input;
  const newest = parse(next);
  for (const text of earlier) {
    if (text.type !== next.type) return [`The schemas before are ${text.type}, this one is ${next.type}.`];
    const before = parse(text);
    const problems = [
      ...(backward
        ? newest.problemsReading(before, rules).map((each) => `${each} (reading old records)`)
        : []),
      ...(forward ? before.problemsReading(newest, rules).map((each) => `${each} (old readers)`) : []),
    ];
    if (problems.length > 0) return problems;
  }
  return [];
}

/** A Protobuf schema as the base64 of its descriptor. */
export const serializeSchema = ({ text, references }: SchemaText): string =>
  serializedProto(text, references);
