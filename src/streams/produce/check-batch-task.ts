import type { JsonSchema, TaskContext } from '../../kernel/index.ts';
import { batchInvalid } from '../record-batch/header.ts';
import { crcMatches, decompressNow, readBatchHeader } from '../record-batch/index.ts';
import { type CompiledSchema, createSchemaCompiler } from '../schema/compile.ts';
import { type BatchRules, type BatchVerdict, checkBatch } from './check-batch.ts';

export interface CheckBatchInput {
  readonly batch: Uint8Array;
  /** Undefined: the checksum alone. */
  readonly rules: BatchRules | undefined;
  readonly schema: { readonly id: string; readonly json: JsonSchema } | undefined;
}

/** Compiling takes milliseconds; a worker sees the same few schemas again and again. */
const SCHEMAS_KEPT = 64;
const compiler = createSchemaCompiler();
const compiled = new Map<string, CompiledSchema>();

function compiledSchema({ id, json }: NonNullable<CheckBatchInput['schema']>): CompiledSchema {
  const known = compiled.get(id);
  compiled.delete(id);
  const schema = known ?? compiler.compile(json);
  compiled.set(id, schema);
  if (compiled.size > SCHEMAS_KEPT) compiled.delete(compiled.keys().next().value!);
  return schema;
}

/** A task for platform workers: the checksum of a batch, and its records against the rules of its stream. Throws BATCH_INVALID. */
export function checkBatchApart(
  { batch, rules, schema }: CheckBatchInput,
  { transfer }: TaskContext,
): BatchVerdict {
  const header = readBatchHeader(batch);
  if (!crcMatches(batch)) throw batchInvalid('its CRC does not match its bytes');
  if (!rules) return { failed: [], count: header.recordCount };
  const records = header.compression === 'none' ? undefined : decompressNow(batch);
  const fits = schema && compiledSchema(schema);
  const verdict = checkBatch(batch, records, rules, fits?.problems);
  if (verdict.parted) {
    const { accepted, diverted } = verdict.parted;
    for (const each of [accepted, ...diverted]) transfer.push(each.buffer as ArrayBuffer);
  }
  return verdict;
}
