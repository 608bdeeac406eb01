import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { Instance, InstanceEnd, InstanceListener, InstanceSpec, Runtime } from '../../functions/port.ts';
import type { FromInstance, ToInstance } from '../../functions/protocol.ts';
import { siblingModule } from '../../kernel/index.ts';
import { BOOTSTRAP, strippedSources } from './sources.ts';
import { createSpares, type Spares } from './spares.ts';
import type { Assignment, WorkerStart } from './worker-data.ts';

export interface WorkerThreadsOptions {
  /** The module that exports the instance harness. */
  readonly harness: URL;
  /** The module that `millrace` stands for inside functions. */
  readonly sdk: URL;
  /** How many workers are kept started for the memory size most used; 2 unless told. */
  readonly spares?: number;
  /** The memory size of spares before any function was seen; 128 MB unless told. */
  readonly spareMemoryBytes?: number;
}

/**
 * What is sent in one turn of the event loop is posted together, but not more than this: both threads would otherwise work by
 * turns, each on all there is while the other waits for it. Many fewer would wake the other thread too often.
 */
const MESSAGES_AT_ONCE = 32;

const DEFAULT_MEMORY_BYTES = 128 * 1024 * 1024;

/**
 * Runs instances as worker threads. Contained: full heaps, endless loops, `process.exit`, uncaught errors, environment,
 * arguments, console and standard streams. Not contained: memory outside the heap (Buffers), native code, signals to the
 * process, the file system, the network. It is no security boundary.
 */
export function createWorkerThreadsRuntime(options: WorkerThreadsOptions): Runtime {
  const [harness, sdk] = [options.harness.href, options.sdk.href];
  const worker = siblingModule(import.meta.url, './worker').href;
  const start: WorkerStart = {
    ...{ harness, sdk, worker, messagesAtOnce: MESSAGES_AT_ONCE },
    sources: strippedSources([worker, harness, sdk]),
  };
  const instances = new Set<ThreadInstance>();
  const spares: Spares = createSpares({
    size: options.spares ?? 2,
    memoryBytes: options.spareMemoryBytes ?? DEFAULT_MEMORY_BYTES,
    start: (memoryBytes) => startWorker(start, memoryBytes),
  });
  let reserved: Promise<void> | undefined;
  return {
    name: 'worker-threads',
    reserve: () => (reserved ??= spares.fill()),
    open(spec, listener) {
      const worker = spares.take(spec.memoryBytes);
      const instance: ThreadInstance = new ThreadInstance(worker, spec, listener, () => {
        instances.delete(instance);
      });
      instances.add(instance);
      return instance;
    },
    counts: () => ({ instances: instances.size, spares: spares.count() }),
    async stop() {
      const ended = [...instances].map((instance) => instance.terminate());
      await Promise.all([spares.close(), ...ended]);
    },
  };
}

/**
 * V8 divides a heap into generations; the young one holds three semi-spaces. Small ones cost a few per cent more collection,
 * large ones all their bytes in every instance.
 */
function heapLimits(memoryBytes: number): {
  maxOldGenerationSizeMb: number;
  maxYoungGenerationSizeMb: number;
} {
  const memoryMb = memoryBytes / 1024 ** 2;
  const maxYoungGenerationSizeMb = Math.min(48, Math.max(4, Math.floor(memoryMb / 16)));
  return {
    maxOldGenerationSizeMb: Math.max(8, memoryMb - maxYoungGenerationSizeMb),
    maxYoungGenerationSizeMb,
  };
}

function startWorker(start: WorkerStart, memoryBytes: number): Worker {
  const worker = new Worker(BOOTSTRAP, {
    eval: true,
    env: {},
    argv: [],
    execArgv: [],
    stdin: false,
    stdout: true,
    stderr: true,
    workerData: start,
    resourceLimits: heapLimits(memoryBytes),
    name: 'millrace function',
  });
  worker.unref();
  // The harness takes over the streams inside; what still comes is read so that it cannot pile up.
  worker.stdout.resume();
  worker.stderr.resume();
  return worker;
}

class ThreadInstance implements Instance {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #listener: InstanceListener;
  readonly #forget: () => void;
  #outbox: ToInstance[] = [];
  #transfers: ArrayBuffer[] = [];
  #failure: InstanceEnd | undefined;
  #ending = false;
  #ended = false;

  constructor(worker: Worker, spec: InstanceSpec, listener: InstanceListener, forget: () => void) {
    const { port1, port2 } = new MessageChannel();
    this.#worker = worker;
    this.#port = port1;
    this.#listener = listener;
    this.#forget = forget;
    port1.on('message', (messages: FromInstance[]) => this.#receive(messages));
    port1.unref();
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', (code) => this.#exited(code));
    const assignment: Assignment = { spec, port: port2 };
    worker.postMessage(assignment, [port2]);
  }

  send(message: ToInstance, transfer?: readonly ArrayBuffer[]): void {
    if (this.#ended) return;
    // Immediates run after everything that came in with the same poll of the sockets: few messages for all of it.
    if (this.#outbox.length === 0) setImmediate(() => this.#flush());
    this.#outbox.push(message);
    if (transfer) this.#transfers.push(...transfer);
    if (this.#outbox.length === MESSAGES_AT_ONCE) this.#flush();
  }

  end(): void {
    void this.terminate();
  }

  async terminate(): Promise<void> {
    this.#ending = true;
    await this.#worker.terminate();
  }

  #flush(): void {
    const messages = this.#outbox;
    if (messages.length === 0) return;
    const transfers = this.#transfers;
    this.#outbox = [];
    this.#transfers = [];
    if (!this.#ended) this.#port.postMessage(messages, transfers);
  }

  #receive(messages: FromInstance[]): void {
    if (!this.#ended) this.#listener.received(messages);
  }

  #fail(error: unknown): void {
    const { code, message, stack } = (error ?? {}) as { code?: unknown; message?: unknown; stack?: unknown };
    if (code === 'ERR_WORKER_OUT_OF_MEMORY') {
      this.#failure = {
        reason: 'memory',
        message: 'Its heap was full. Give it more `memory`, or hold less at once.',
      };
      return;
    }
    const what = error instanceof Error ? String(message) : String(error);
    const trace = typeof stack === 'string' ? { stack } : {};
    this.#failure ??= { reason: 'error', message: `An error was not caught: ${what}`, ...trace };
  }

  #exited(code: number): void {
    // What it said before it ended may still lie in the port.
    for (let left = receiveMessageOnPort(this.#port); left; left = receiveMessageOnPort(this.#port)) {
      this.#receive(left.message);
    }
    this.#ended = true;
    this.#port.close();
    this.#forget();
    this.#listener.ended(this.#failure ?? endOf(this.#ending, code));
  }
}

function endOf(ending: boolean, code: number): InstanceEnd {
  return ending
    ? { reason: 'ended', message: 'The platform ended it.' }
    : { reason: 'exited', message: `It called process.exit(${code}). Return from the handler instead.` };
}
