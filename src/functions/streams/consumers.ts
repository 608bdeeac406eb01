import type { FunctionManifest, Service, StateManifest } from '../../kernel/index.ts';
import { DEFAULT_STREAM_CONSUMER_CONFIG, type StreamConsumerConfig } from './config.ts';
import {
  type Consumer,
  type ConsumerStatus,
  createConsumer,
  notAStreamFunction,
  streamsOf,
} from './consumer.ts';
import type { StreamConsumersOptions } from './options.ts';
import { createRedrive, type RedriveResult } from './redrive.ts';

/**
 * Streams into functions, exactly once. Every function that a stream triggers has one consumer group, `<app>.<function>`; its
 * keyed states are stores named `<app>.<function>.<state>`. What the function emits, the state it writes and the positions
 * it has reached become durable in one commit.
 */
export interface StreamConsumers extends Service {
  /**
   * Makes exactly these functions of the app run: starts, changes and stops consumers. Resolves when new ones have their
   * positions and removed ones have drained. A removed function's group keeps its positions: the function goes on there
   * if it comes back under its name. A new version takes over with the next event.
   */
  apply(app: string, functions: readonly FunctionManifest[], states: readonly StateManifest[]): Promise<void>;
  /** Sends nothing more to the function; what is out finishes. Throws FUNCTION_NOT_FOUND. */
  pause(fn: string): void;
  resume(fn: string): void;
  /** Throws FUNCTION_NOT_FOUND. */
  status(fn: string): ConsumerStatus;
  list(): readonly ConsumerStatus[];
  /**
   * Gives dead letters to the function again, to it alone: all of them, or the one at offset `record` of its dead-letter
   * stream. Resolves when they are durably on their way. Throws FUNCTION_NOT_FOUND, NOT_FOUND, CONFLICT.
   */
  redrive(fn: string, options?: { readonly record?: number }): Promise<RedriveResult>;
  /** Resolves when no consumer can go on unless time moves or records come. */
  idle(): Promise<void>;
}

export function createStreamConsumers(
  given: Omit<StreamConsumersOptions, 'config'> & { readonly config?: Partial<StreamConsumerConfig> },
): StreamConsumers {
  const consumers = new Map<string, Consumer>();
  const restWaiters = new Set<() => void>();
  const onRest = (): void => {
    if (restWaiters.size > 0) for (const check of [...restWaiters]) check();
  };
  const options = { ...given, config: { ...DEFAULT_STREAM_CONSUMER_CONFIG, ...given.config }, onRest };
  let refusing = false;

  const consumerOf = (fn: string): Consumer => {
    const found = consumers.get(fn);
    if (!found) throw notAStreamFunction(fn);
    return found;
  };
  const redrive = createRedrive(options, consumerOf);

  const remove = async (name: string): Promise<void> => {
    const consumer = consumers.get(name);
    await consumer?.stop();
    if (consumers.get(name) === consumer) consumers.delete(name);
  };

  const start = async (
    app: string,
    manifest: FunctionManifest,
    states: readonly StateManifest[],
  ): Promise<void> => {
    const running = consumers.get(manifest.name);
    if (running) return running.change({ app, manifest, states });
    if (refusing) return;
    const consumer = createConsumer(options, { app, manifest, states });
    consumers.set(manifest.name, consumer);
    await consumer.ready;
  };

  return {
    name: 'stream consumers',
    async apply(app, functions, states) {
      const wanted = functions.filter((manifest) => streamsOf(manifest).length > 0);
      const names = new Set(wanted.map(({ name }) => name));
      const gone = [...consumers].filter(
        ([name, { definition }]) => definition.app === app && !names.has(name),
      );
      await Promise.all([
        ...gone.map(([name]) => remove(name)),
        ...wanted.map((manifest) => start(app, manifest, states)),
      ]);
    },
    pause: (fn) => consumerOf(fn).pause(),
    resume: (fn) => consumerOf(fn).resume(),
    status: (fn) => consumerOf(fn).status(),
    list: () => [...consumers.values()].map((consumer) => consumer.status()),
    redrive,
    idle: () =>
      new Promise((resolve) => {
        const check = (): void => {
          if (![...consumers.values()].every(({ resting }) => resting)) return;
          restWaiters.delete(check);
          resolve();
        };
        restWaiters.add(check);
        check();
      }),
    /** What is out comes back and is committed; the dispatcher refuses from here on. */
    refuse() {
      refusing = true;
      for (const consumer of consumers.values()) void consumer.stop();
    },
    async stop(deadline) {
      const all = [...consumers.values()];
      const abandon = (): void => {
        for (const consumer of all) consumer.abandon();
      };
      deadline.addEventListener('abort', abandon);
      const stopping = Promise.all(all.map((consumer) => consumer.stop()));
      if (deadline.aborted) abandon();
      await stopping;
      deadline.removeEventListener('abort', abandon);
    },
  };
}
