import { DescribeLogDirs } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError } from '../errors.ts';
import type { Broker, Handler } from '../handler.ts';

/** Bytes on disk. The log is one folder, whose path is nobody's business outside. */
export function describeLogDirsHandler({ streams: { log } }: Broker): Handler<typeof DescribeLogDirs> {
  return {
    api: DescribeLogDirs,
    async handle({ topics: asked }, { permits }) {
      if (!permits('read', 'platform/kafka')) throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED');
      const wanted = asked && new Map(asked.map(({ topic, partitions }) => [topic, new Set(partitions)]));
      const topics = log.topics.list().filter(({ name }) => !wanted || wanted.has(name));
      const answers = topics.map(async ({ name }) => ({
        name,
        partitions: (await log.topics.sizes(name))
          .map((partitionSize, partitionIndex) => ({
            ...{ partitionIndex, partitionSize },
            offsetLag: 0,
            isFutureKey: false,
          }))
          .filter(({ partitionIndex }) => wanted?.get(name)?.has(partitionIndex) ?? true),
      }));
      return { errorCode: 0, results: [{ errorCode: 0, logDir: 'log', topics: await Promise.all(answers) }] };
    },
  };
}
