import { MillraceError } from '../../kernel/index.ts';
import { checkPartitionCount, checkTopicName, mergeTopicConfig } from '../coordination/index.ts';
import type { TopicAdmin, TopicInfo } from '../port.ts';
import type { Change } from './changes.ts';
import type { Core } from './core.ts';
import type { Topic } from './partition.ts';

export function createTopicAdmin(core: Core): TopicAdmin {
  const { topics, appender } = core;
  /** Decisions about topics come one after the other: each sees what the one before made durable. */
  const alone = <Result>(work: () => Promise<Result>): Promise<Result> => core.mutex('topics', work);

  const write = (change: Change) => appender.transact(0, () => ({ batches: [], changes: [change] }));

  return {
    create: (spec) =>
      alone(async () => {
        checkTopicName(spec.name);
        checkPartitionCount(spec.partitions);
        const config = mergeTopicConfig(spec.config);
        if (topics.find(spec.name)) {
          throw new MillraceError('STREAM_EXISTS', `A stream '${spec.name}' exists. Take another name.`);
        }
        const info: TopicInfo = {
          id: Buffer.from(core.random.bytes(16)).toString('hex'),
          name: spec.name,
          partitions: spec.partitions,
          config,
          createdMs: core.clock.now(),
          internal: spec.internal ?? false,
        };
        await write({ kind: 'topic', number: topics.nextNumber, info });
        return info;
      }),
    delete: (name) =>
      alone(async () => {
        const topic = topics.get(name);
        await write({ kind: 'topic-gone', number: topic.number });
        await removeFiles(core, topic);
      }),
    alter: (name, change) =>
      alone(async () => {
        const { number, info } = topics.get(name);
        const partitions = change.partitions ?? info.partitions;
        checkPartitionCount(partitions, info.partitions);
        const altered = { ...info, partitions, config: mergeTopicConfig(change.config, info.config) };
        await write({ kind: 'topic', number, info: altered });
        return altered;
      }),
    find: (name) => topics.find(name)?.info,
    list: () => [...topics.all()].map((topic) => topic.info).sort((a, b) => (a.name < b.name ? -1 : 1)),
    sizes: async (name) =>
      topics.get(name).partitions.map((partition) => {
        let bytes = 0;
        for (const segment of partition.segments) bytes += segment.bytes;
        for (const entry of partition.tail) if (!entry.flushed) bytes += entry.batch.length;
        return bytes;
      }),
  };
}

/** The change is durable: files that a crash leaves behind are swept at the next start. */
export async function removeFiles(core: Core, topic: Topic): Promise<void> {
  await core.flusher.exclusively(async () => {
    for (const partition of topic.partitions) {
      core.flusher.forget(partition);
      for (const segment of partition.segments) await core.files.remove(partition, segment);
    }
    await core.disk.removeFolder(`topics/${topic.info.id}`);
  });
  for (const partition of topic.partitions) partition.notify();
}

/** Removes folders of topics that are not there: deleted just before a crash. */
export async function sweepFolders(core: Core): Promise<void> {
  const known = new Set([...core.topics.all()].map((topic) => topic.info.id));
  for (const { name, folder } of await core.disk.list('topics')) {
    if (folder && !known.has(name)) await core.disk.removeFolder(`topics/${name}`);
  }
}
