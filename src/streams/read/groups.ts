import type { GroupInfo, LogStore, OffsetCommit, PartitionBounds } from '../port.ts';
import type { StreamGroup } from '../service.ts';

/** Records a group has yet to handle; without a position that is all there are. */
function lagOf(bounds: PartitionBounds, position: OffsetCommit | undefined): number {
  const from = Math.max(bounds.logStartOffset, position?.offset ?? 0);
  const done =
    position?.done.filter((offset) => offset >= from && offset < bounds.lastStableOffset).length ?? 0;
  return Math.max(0, bounds.lastStableOffset - from - done);
}

const reads = ({ members }: GroupInfo, topic: string): boolean =>
  members.some(({ partitions }) => partitions.some((place) => place.topic === topic));

/** The groups that have positions on the stream, or members that read it. */
export function groupsOf(log: LogStore, name: string, partitions: number): readonly StreamGroup[] {
  return log.groups.list().flatMap((group): StreamGroup[] => {
    const offsets = log.groups.offsets(group.group).filter(({ topic }) => topic === name);
    if (offsets.length === 0 && !reads(group, name)) return [];
    const lag = Array.from({ length: partitions }, (_, partition) =>
      lagOf(
        log.bounds({ topic: name, partition }),
        offsets.find((offset) => offset.partition === partition),
      ),
    );
    return [{ ...group, offsets, lag }];
  });
}
