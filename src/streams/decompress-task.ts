import type { TaskContext } from '../kernel/index.ts';
import { decompressNow } from './record-batch/index.ts';

/** A task for platform workers: the records of one compressed batch. Throws BATCH_INVALID. */
export function unpackBatch(batch: Uint8Array, { transfer }: TaskContext): Uint8Array {
  const records = decompressNow(batch);
  const whole = records.byteLength === records.buffer.byteLength ? records : new Uint8Array(records);
  transfer.push(whole.buffer as ArrayBuffer);
  return whole;
}
