import type { TaskContext } from '../../kernel/index.ts';
import { type UnsealedBatch, writeBatchHeader } from '../record-batch/index.ts';

/** A task for platform workers: the batch with its header, whose checksum takes milliseconds for a large one. */
export function sealBatch(unsealed: UnsealedBatch, { transfer }: TaskContext): Uint8Array {
  const { batch, options, summary } = unsealed;
  writeBatchHeader(batch, options, summary);
  transfer.push(batch.buffer as ArrayBuffer);
  return batch;
}
