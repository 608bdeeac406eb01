import type { MessagePort } from 'node:worker_threads';
import type { InstanceSpec } from '../../functions/port.ts';

/** What a worker is started with, before any function is assigned to it. */
export interface WorkerStart {
  /** Module that exports the harness, as a URL. */
  readonly harness: string;
  /** What the import of `millrace` resolves to, as a URL. */
  readonly sdk: string;
  /** The worker's own module, as a URL. */
  readonly worker: string;
  /** Modules whose types were stripped already, by URL. */
  readonly sources: ReadonlyMap<string, string>;
  readonly messagesAtOnce: number;
}

/** The first message to a worker; from then on everything goes through `port`. */
export interface Assignment {
  readonly spec: InstanceSpec;
  readonly port: MessagePort;
}
