import type { Service, Trigger } from '../kernel/index.ts';
import type { FromInstance, ToInstance } from './protocol.ts';

/**
 * Where functions run. `port.contract.ts` is the specification; every adapter passes it.
 *
 * R1 An instance runs the code of one function version, sees the environment of its spec and nothing of the platform's.
 * R2 Messages arrive in the order they were sent, in both directions; adapters deliver many at once.
 * R3 Whatever the code does (endless loop, exit, full heap, uncaught error), the platform and other instances go on, and
 *    `ended` is told exactly once. Every message the instance sent before it ended arrives before `ended`.
 * R4 `end` works on an instance that does not answer.
 * Must not leak: threads, processes, ports, how code is loaded, how many instances are kept in reserve.
 * What an instance can still reach differs by adapter; each says so in its own documentation.
 */
export interface Runtime extends Service {
  /** Starts an instance. It reports `ready` or `failed` by message; messages sent before that wait for it. */
  open(spec: InstanceSpec, listener: InstanceListener): Instance;
  /** Starts what it keeps in reserve, once; called when there are functions to run, so that a platform without pays nothing. */
  reserve?(): Promise<void>;
  counts(): RuntimeCounts;
}

export interface RuntimeCounts {
  /** Instances that were opened and have not ended. */
  readonly instances: number;
  /** Started in reserve, without any function's code. */
  readonly spares: number;
}

export interface InstanceSpec {
  readonly app: string;
  readonly fn: string;
  readonly version: string;
  /** Local folder of the artifact. */
  readonly folder: string;
  /** Module inside `folder`, with `/`. */
  readonly entry: string;
  readonly exportName: string;
  readonly triggers: readonly Trigger[];
  readonly batched: boolean;
  /** Records of one event that are handled at the same time, where the handler takes one. */
  readonly perInstance: number;
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly env: { readonly [name: string]: string };
  /** Names of the secrets that the function may ask for. */
  readonly secrets: readonly string[];
  /** Capabilities that other rooms put on `ctx`. */
  readonly providers: readonly string[];
}

export interface InstanceListener {
  received(messages: readonly FromInstance[]): void;
  ended(end: InstanceEnd): void;
}

export interface InstanceEnd {
  /** `ended`: because `end` was called. `exited`: the code called exit. `error`: nobody caught it. `memory`: its heap was full. */
  readonly reason: 'ended' | 'exited' | 'error' | 'memory';
  /** What happened, in a sentence for the function's author. */
  readonly message: string;
  readonly stack?: string;
}

export interface Instance {
  /** Never throws: what is sent to an instance that has ended is dropped. Buffers in `transfer` are given away. */
  send(message: ToInstance, transfer?: readonly ArrayBuffer[]): void;
  /** Ends it at once, whatever it does. `ended` follows. */
  end(): void;
}

/** The instance's own end of the line: an adapter hands it to the harness, inside the thread or process. */
export interface InstanceChannel {
  send(message: FromInstance, transfer?: readonly ArrayBuffer[]): void;
  listen(received: (messages: readonly ToInstance[]) => void): void;
  /** Milliseconds that never go back. */
  monotonic(): number;
}

/** What the harness module exports. An adapter loads it ahead of time and calls `serve` when a function is assigned. */
export interface InstanceHarness {
  serve(spec: InstanceSpec, channel: InstanceChannel, surroundings?: InstanceSurroundings): Promise<void>;
}

/** For instances that share their thread with something else. */
export interface InstanceSurroundings {
  /** The function's handler, instead of importing it from the artifact. */
  readonly handler: (event: unknown, context: unknown) => unknown;
}
