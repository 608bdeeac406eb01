import { MillraceError } from '../../kernel/index.ts';
import type { AppendInput, TopicConfig } from '../port.ts';
import { type BatchHeader, crcMatches, readBatchHeader } from '../record-batch/index.ts';

/** The header of an append's one batch. Throws BATCH_INVALID, RECORD_TOO_LARGE. */
export function checkBatch(
  { topic, batch, trusted }: AppendInput,
  config: Pick<TopicConfig, 'maxBatchBytes'>,
): BatchHeader {
  if (batch.length > config.maxBatchBytes) {
    throw new MillraceError(
      'RECORD_TOO_LARGE',
      `A batch of ${batch.length} bytes is more than the ${config.maxBatchBytes} that '${topic}' takes. Send smaller ones.`,
    );
  }
  const header = readBatchHeader(batch);
  const invalid = (why: string): MillraceError =>
    new MillraceError(
      'BATCH_INVALID',
      `The record batch is malformed: ${why}. Send whole batches in format 2.`,
    );
  if (header.sizeBytes !== batch.length) throw invalid('bytes follow it');
  if (header.control) throw invalid('it is a control batch, which only the log writes');
  if (header.recordCount !== header.lastOffsetDelta + 1 && !trusted)
    throw invalid('its records do not fill its offsets');
  if (!trusted && !crcMatches(batch)) throw invalid('its checksum does not match');
  return header;
}
