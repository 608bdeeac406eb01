import type { Clock, FunctionManifest, Ids, Random } from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import type { Dispatcher, FunctionError } from '../invocation.ts';
import type { Committer } from './committer.ts';
import type { StreamConsumerConfig } from './config.ts';
import type { Graveyard } from './graveyard.ts';
import type { KeyedState } from './pending-state.ts';

/** What a work needs of the function and the session that it belongs to. */
export interface RunnerContext {
  readonly app: string;
  readonly group: string;
  /** The version that new events go to. */
  manifest(): FunctionManifest;
  readonly dispatcher: Dispatcher;
  readonly streams: Streams;
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly config: StreamConsumerConfig;
  readonly committer: Committer;
  readonly graveyard: Graveyard;
  /** Names of states that the function was seen to read. */
  readonly learned: Set<string>;
  state(name: string, partition: number): Promise<KeyedState>;
  stateTtlMs(name: string): number | null | undefined;
  storeOf(name: string): string;
  /** Fires when the session is over: what comes back later is dropped. */
  readonly over: AbortSignal;
  /** Whether nothing new is sent any more. */
  draining(): boolean;
  /** Resolves after `delayMs`, or at once when the session is over or drains. */
  wait(delayMs: number): Promise<void>;
  /** The same for an event that nobody takes: until then it counts as at rest. */
  park(delayMs: number): Promise<void>;
  /** Says that there may be something to do. */
  wake(): void;
  /** What an event took, for those who decide how many to send. */
  observe(durationMs: number, records: number): void;
}

/** Offsets with their failure, and offsets that were not tried. */
export interface Unfinished {
  readonly failed: ReadonlyMap<number, FunctionError>;
  readonly skipped: ReadonlySet<number>;
}
