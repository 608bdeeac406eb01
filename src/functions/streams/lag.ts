import { type Clock, signal, signalled } from '../../kernel/index.ts';
import type { LogStore, TopicPartition } from '../../streams/index.ts';
import type { PartitionQueue } from './types.ts';

/** How far a function is in one partition. */
export interface PartitionLag extends TopicPartition {
  readonly position: number;
  readonly lag: number;
}

export function lagOf(log: LogStore, queue: PartitionQueue): PartitionLag {
  const { topic, partition, frontOffset: position } = queue;
  const end = log.topics.find(topic) ? log.bounds(queue).lastStableOffset : position;
  return { topic, partition, position, lag: Math.max(0, end - position) };
}

/** Signals `group.lag` for every partition, as long as someone listens. The result stops it. */
export function tellLag(
  clock: Clock,
  everyMs: number,
  group: string,
  lags: () => readonly PartitionLag[],
): () => void {
  const tell = (): void => {
    timer = clock.after(everyMs, tell);
    if (!signalled('group.lag')) return;
    for (const { topic, partition, lag } of lags())
      signal('group.lag', { group, stream: topic, partition, lag });
  };
  let timer = clock.after(everyMs, tell);
  return () => timer.cancel();
}
