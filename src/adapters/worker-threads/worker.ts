import { registerHooks } from 'node:module';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { InstanceChannel, InstanceHarness, InstanceSpec } from '../../functions/port.ts';
import type { FromInstance, ToInstance } from '../../functions/protocol.ts';
import type { Assignment, WorkerStart } from './worker-data.ts';

/**
 * The inside of a worker. It loads the harness and the SDK ahead of time, then waits for a function. Chunks import
 * `millrace` by name and get the platform's own SDK, wherever the artifact lies.
 */
const { harness, sdk, messagesAtOnce } = workerData as WorkerStart;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'millrace' ? { url: sdk, shortCircuit: true } : next(specifier, context),
});

const { serve } = (await import(harness)) as InstanceHarness;

let assigned = false;
parentPort!.once('message', ({ spec, port }: Assignment) => {
  assigned = true;
  cleanProcess(spec);
  // An uncaught error or a rejection nobody handles ends the worker: Node's own behaviour, which the platform sees.
  void serve(spec, channelOver(port));
});

// Ahead of need in a spare; where a function waits already, only its own imports count.
setImmediate(() => {
  if (!assigned) void import(sdk);
});

/** The worker was started with an empty environment; now it gets what the function declares, and nothing else. */
function cleanProcess(spec: InstanceSpec): void {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, spec.env);
  process.argv = [process.argv[0]!, spec.fn];
  process.execArgv = [];
}

/** Collects what is sent during one turn of the event loop and posts it in few messages. */
function channelOver(port: MessagePort): InstanceChannel {
  let outbox: FromInstance[] = [];
  let transfers: ArrayBuffer[] = [];
  const flush = (): void => {
    const messages = outbox;
    const given = transfers;
    outbox = [];
    transfers = [];
    if (messages.length > 0) port.postMessage(messages, given);
  };
  // What was written just before `process.exit` is what its author will look for.
  process.on('exit', flush);
  return {
    send(message, transfer) {
      // Immediates come after the promise jobs of everything that this turn began.
      if (outbox.length === 0) setImmediate(flush);
      outbox.push(message);
      if (transfer) transfers.push(...transfer);
      if (outbox.length === messagesAtOnce) flush();
    },
    listen: (received) => void port.on('message', received as (messages: ToInstance[]) => void),
    monotonic: () => performance.now(),
  };
}
