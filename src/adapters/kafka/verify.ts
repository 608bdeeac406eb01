import { isMillraceError } from '../../kernel/index.ts';
import type {
  Damage,
  FetchResult,
  TopicPartition,
  VerifyProgress,
  VerifyReport,
} from '../../streams/port.ts';
import { splitBatches } from '../../streams/record-batch/index.ts';

interface VerifyParts {
  /** Every partition, with what it holds. */
  readonly partitions: readonly (TopicPartition & {
    readonly from: number;
    readonly to: number;
    readonly bytes: number;
  })[];
  readonly topics: number;
  /** Throws DATA_DAMAGED. */
  fetch(place: TopicPartition, offset: number): Promise<FetchResult>;
}

/**
 * Reads every partition from its leader and checks every batch. Brokers do not check what they hand out, so damage of a
 * leader's replica shows here; the reading of a partition ends there.
 */
export async function verifyPartitions(
  { partitions, topics, fetch }: VerifyParts,
  onProgress: (progress: VerifyProgress) => void = () => undefined,
): Promise<VerifyReport> {
  const bytesTotal = partitions.reduce((sum, one) => sum + one.bytes, 0);
  const damages: Damage[] = [];
  let [batches, records, bytes] = [0, 0, 0];
  for (const { topic, partition, from, to } of partitions) {
    for (let offset = from; offset < to; ) {
      try {
        const found = await fetch({ topic, partition }, offset);
        if (found.batches.length === 0) break;
        for (const { header } of splitBatches(found.batches)) {
          batches++;
          records += header.control ? 0 : header.recordCount;
          offset = Math.max(offset, header.lastOffset + 1);
        }
        bytes += found.batches.length;
        onProgress({ bytesDone: bytes, bytesTotal });
      } catch (error) {
        if (!isMillraceError(error, 'DATA_DAMAGED')) throw error;
        const detail = error.message;
        damages.push({ file: `kafka:${topic}`, position: 0, topic, partition, firstOffset: offset, detail });
        break;
      }
    }
  }
  return { topics, partitions: partitions.length, batches, records, bytes, damages };
}
