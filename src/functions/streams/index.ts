export { DEFAULT_STREAM_CONSUMER_CONFIG, type StreamConsumerConfig } from './config.ts';
export type { ConsumerStatus } from './consumer.ts';
export { createStreamConsumers, type StreamConsumers } from './consumers.ts';
export { DEAD_LETTER, deadLetterStream } from './dead-letter.ts';
export { streamConsumersDeployable } from './deployable.ts';
export type { PartitionLag } from './lag.ts';
export type { RedriveResult } from './redrive.ts';
