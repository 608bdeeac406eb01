import type {
  Instance,
  InstanceEnd,
  InstanceHarness,
  InstanceListener,
  InstanceSpec,
  Runtime,
} from '../../functions/port.ts';
import type { FromInstance, ToInstance } from '../../functions/protocol.ts';

export interface InProcessOptions {
  /** The module that exports the instance harness. */
  readonly harness: URL;
  /** The handler of a function, as the process has it loaded. */
  readonly handlerOf: (spec: InstanceSpec) => (event: unknown, context: unknown) => unknown;
}

/**
 * Runs instances in the platform's own thread, for tests: handlers share variables, mocks and the debugger with the test.
 * Messages are cloned as between threads, so that what could not cross there does not here. Not contained is everything
 * else: memory, endless loops, `process.exit`, uncaught errors, environment, console. Ending an instance stops what it says,
 * not what it does.
 */
export function createInProcessRuntime({ harness, handlerOf }: InProcessOptions): Runtime {
  const instances = new Set<LocalInstance>();
  let loaded: Promise<InstanceHarness> | undefined;
  return {
    name: 'in-process',
    async start() {
      await (loaded ??= import(harness.href));
    },
    open(spec, listener) {
      const instance: LocalInstance = new LocalInstance(listener, () => instances.delete(instance));
      instances.add(instance);
      void (loaded ??= import(harness.href)).then(({ serve }) =>
        serve(spec, instance.inside, { handler: handlerOf(spec) }),
      );
      return instance;
    },
    counts: () => ({ instances: instances.size, spares: 0 }),
    async stop() {
      for (const instance of [...instances]) instance.end();
    },
  };
}

/** What is sent in one turn arrives as one message in a later one, in order (R2). */
class Line<Message> {
  #waiting: Message[] = [];
  #received: ((messages: readonly Message[]) => void) | undefined;
  #scheduled = false;

  send(message: Message, transfer: readonly ArrayBuffer[] = []): void {
    this.#waiting.push(structuredClone(message, { transfer: [...transfer] }));
    this.#schedule();
  }

  listen(received: (messages: readonly Message[]) => void): void {
    this.#received = received;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || !this.#received || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    const messages = this.#waiting;
    this.#waiting = [];
    this.#received?.(messages);
    this.#schedule();
  }
}

class LocalInstance implements Instance {
  readonly #toInside = new Line<ToInstance>();
  readonly #toPlatform = new Line<FromInstance>();
  readonly #listener: InstanceListener;
  readonly #forget: () => void;
  #ended = false;

  constructor(listener: InstanceListener, forget: () => void) {
    this.#listener = listener;
    this.#forget = forget;
    this.#toPlatform.listen((messages) => {
      if (!this.#ended) listener.received(messages);
    });
  }

  readonly inside = {
    send: (message: FromInstance, transfer?: readonly ArrayBuffer[]): void => {
      if (!this.#ended) this.#toPlatform.send(message, transfer);
    },
    listen: (received: (messages: readonly ToInstance[]) => void): void => this.#toInside.listen(received),
    monotonic: (): number => performance.now(),
  };

  send(message: ToInstance, transfer?: readonly ArrayBuffer[]): void {
    if (!this.#ended) this.#toInside.send(message, transfer);
  }

  end(): void {
    if (this.#ended) return;
    // R3: what was said before arrives before the end.
    setImmediate(() => {
      if (this.#ended) return;
      this.#ended = true;
      this.#forget();
      this.#listener.ended(ENDED);
    });
  }
}

const ENDED: InstanceEnd = { reason: 'ended', message: 'It was ended.' };
