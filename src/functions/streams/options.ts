import type { Clock, Random } from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import type { Dispatcher } from '../invocation.ts';
import type { StreamConsumerConfig } from './config.ts';

/** What the consumers of all functions work with. */
export interface StreamConsumersOptions {
  readonly streams: Streams;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly random: Random;
  readonly config: StreamConsumerConfig;
}
