import { defineSection, LIMITS } from '../../kernel/index.ts';

/** What the Kafka port decides for its clients; where the port is stands in the platform's own section. */
export const kafkaSection = defineSection('kafka', 'Kafka port', {
  kafkaAutoCreate: {
    kind: 'boolean',
    default: true,
    description: 'Makes a stream when a Kafka client asks for a topic that is not there',
  },
  kafkaPartitions: {
    kind: 'integer',
    default: 1,
    min: 1,
    max: LIMITS.partitions,
    description: 'Partitions of topics that Kafka clients make without saying how many',
  },
  kafkaClientCa: {
    kind: 'path',
    default: null,
    description:
      'PEM file with the certificate authorities whose client certificates the Kafka port takes; read again when it changes',
  },
});
