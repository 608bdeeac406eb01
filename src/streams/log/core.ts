import type { Clock, Random } from '../../kernel/index.ts';
import type { Groups, keyedMutex, Transactions } from '../coordination/index.ts';
import type { Disk } from '../disk.port.ts';
import type { Decompress } from '../record-batch/index.ts';
import type { Appender } from './appender.ts';
import type { Flusher } from './flusher.ts';
import type { Partition } from './partition.ts';
import type { Reader } from './reader.ts';
import type { Segment } from './segment.ts';
import type { SegmentFiles } from './segment-files.ts';
import type { Topics } from './topics.ts';

/** What the parts of a running log share. */
export interface Core {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly decompress: Decompress;
  readonly topics: Topics;
  readonly groups: Groups;
  readonly transactions: Transactions;
  readonly files: SegmentFiles;
  readonly flusher: Flusher;
  readonly appender: Appender;
  readonly reader: Reader;
  readonly mutex: ReturnType<typeof keyedMutex>;
  /** Segments that nothing refers to any more; their files go with the next `collectGarbage`. */
  readonly garbage: { partition: Partition; segment: Segment }[];
  collectGarbage(): Promise<void>;
}
