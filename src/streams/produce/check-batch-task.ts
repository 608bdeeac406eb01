import type { JsonSchema, TaskContext } from '../../kernel/index.ts';
import { batchInvalid } from '../record-batch/header.ts';
import {
  type BatchHeader,
  type Compression,
  crcMatches,
  decompressNow,
  RecordCursor,
  readBatchHeader,
  repackBatch,
} from '../record-batch/index.ts';
import { type CompiledSchema, createSchemaCompiler } from '../schema/compile.ts';
import { type BatchRules, type BatchVerdict, checkBatch, type ValueProblems } from './check-batch.ts';

export interface CheckBatchInput {
  readonly batch: Uint8Array;
  /** Undefined: the checksum alone. */
  readonly rules: BatchRules | undefined;
  /** How the log is to have it; undefined: as it comes. */
  readonly compression: Compression | undefined;
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
export function checkBatchApart(input: CheckBatchInput, { transfer }: TaskContext): BatchVerdict {
  const { batch, schema } = input;
  if (!crcMatches(batch)) throw batchInvalid('its CRC does not match its bytes');
  const verdict = checkAndPack(input, schema && compiledSchema(schema).problems);
  if (verdict.parted) {
    const { accepted, diverted } = verdict.parted;
    for (const each of [accepted, ...diverted]) transfer.push(each.buffer as ArrayBuffer);
  }
  return verdict;
}

/** A batch whose checksum is right, against the rules of its stream, and packed as the log is to have it. */
export function checkAndPack(
  { batch, rules, compression }: Pick<CheckBatchInput, 'batch' | 'rules' | 'compression'>,
  problemsOf: ValueProblems | undefined,
): BatchVerdict {
  const header = readBatchHeader(batch);
  const packsAnew = compression !== undefined && compression !== header.compression;
  if (!rules && !packsAnew) return { failed: [], count: header.recordCount };
  const records = header.compression === 'none' ? undefined : decompressNow(batch);
  const verdict = rules
    ? checkBatch(batch, records, rules, problemsOf)
    : { failed: [], count: countRecords(batch, records, header) };
  if (!packsAnew || (verdict.failed.length > 0 && !verdict.parted)) return verdict;
  const { accepted = batch, diverted = [] } = verdict.parted ?? {};
  const unpacked = readBatchHeader(accepted).compression === 'none' ? undefined : decompressNow(accepted);
  return { ...verdict, parted: { accepted: repackBatch(accepted, unpacked, compression), diverted } };
}

/** Nobody packs anew what makes no sense. Throws BATCH_INVALID. */
function countRecords(batch: Uint8Array, records: Uint8Array | undefined, header: BatchHeader): number {
  const cursor = new RecordCursor(batch, 0, records);
  while (cursor.next());
  return header.recordCount;
}
