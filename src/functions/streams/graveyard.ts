import { type Clock, type FunctionManifest, LIMITS, signal } from '../../kernel/index.ts';
import type { AppendInput, Streams } from '../../streams/index.ts';
import type { FunctionError } from '../invocation.ts';
import { deadLetterStream, encodeDeadLetter } from './dead-letter.ts';
import type { Failure, Work } from './types.ts';
import { offsetAt } from './work.ts';

/** Makes dead letters, and their stream when the first one comes. */
export interface Graveyard {
  /** The append that belongs into the commit which finishes the record. */
  bury(work: Work, at: number, error: FunctionError, failure: Failure): Promise<AppendInput>;
}

export interface GraveyardOptions {
  readonly app: string;
  readonly streams: Streams;
  readonly clock: Clock;
  manifest(): FunctionManifest;
}

export function createGraveyard({ app, streams, clock, manifest }: GraveyardOptions): Graveyard {
  let ready: Promise<unknown> | undefined;
  const make = async (name: string): Promise<void> => {
    if (streams.find(name)) return;
    await streams.define({
      name,
      owner: app,
      partitions: 1,
      retentionMs: null,
      maxRecordBytes: LIMITS.bodyBytes,
    });
  };
  return {
    async bury(work, at, error, failure) {
      const { name, version } = manifest();
      const topic = deadLetterStream(name);
      ready ??= make(topic).catch((reason: unknown) => {
        ready = undefined;
        throw reason;
      });
      await ready;
      const { queue } = work;
      const offset = offsetAt(work, at);
      const batch = encodeDeadLetter(work, at, {
        fn: name,
        version,
        error,
        attempts: failure.attempts,
        firstMs: failure.firstMs,
        lastMs: clock.now(),
        redriven: queue.topic !== queue.stream,
      });
      signal('function.deadLettered', {
        app,
        fn: name,
        stream: queue.stream,
        partition: queue.partition,
        offset,
        error: `${error.name}: ${error.message}`,
      });
      return { topic, partition: 0, batch, trusted: true };
    },
  };
}
