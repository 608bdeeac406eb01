import type { Json } from '../../../kernel/index.ts';
import { canonicalJson } from '../../schema/canonical.ts';
import { type ParsedSchema, SchemaError, type SchemaFormat } from '../types.ts';
import { readingProblems } from './compatibility.ts';
import type { AvroType } from './model.ts';
import { parseAvro } from './parse.ts';

interface ParsedAvro extends ParsedSchema {
  readonly avro: AvroType;
}

/** A bare name such as `string` may come without quotes, as Avro's own parser takes it. */
function jsonOf(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    if (/^\s*[a-z]+\s*$/.test(text)) return text.trim();
    throw new SchemaError(`it is no JSON: ${(error as Error).message}`);
  }
}

export const avroFormat: SchemaFormat = {
  parse(text, references): ParsedAvro {
    const json = jsonOf(text);
    const avro = parseAvro(json, references);
    return {
      avro,
      text: JSON.stringify(json),
      normalized: () => canonicalJson(json),
      problemsReading: (writer) => readingProblems(avro, (writer as ParsedAvro).avro),
    };
  },
};
