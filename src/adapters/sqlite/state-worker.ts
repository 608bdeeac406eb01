import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { openStateEngine, type StateEngine, toStateError } from './state-engine.ts';
import type { StateReply, StateTurn, WorkerFailure } from './state-protocol.ts';

function failureOf(error: unknown): WorkerFailure {
  const { code, message } = toStateError(error);
  return { code, message };
}

function attempt<Result>(act: () => Result): Result | WorkerFailure {
  try {
    return act();
  } catch (error) {
    return failureOf(error);
  }
}

function serve(port: MessagePort, engine: StateEngine): void {
  const reply = (message: StateReply): void => port.postMessage(message);
  port.on('message', (message: StateTurn | 'close') => {
    if (message === 'close') {
      engine.close();
      port.close();
      return;
    }
    const { reads, writes, nowMs } = message;
    reply({ kind: 'reads', results: reads.map((read) => attempt(() => engine.read(read, nowMs))) });
    const results = writes.length === 0 ? [] : attempt(() => engine.commit(writes, nowMs));
    reply({ kind: 'writes', results });
  });
  reply({ kind: 'ready' });
}

function main(port: MessagePort): void {
  const opened = attempt(() => openStateEngine((workerData as { path: string }).path));
  if ('code' in opened) {
    port.postMessage({ kind: 'failed', failure: opened } satisfies StateReply);
    port.close();
    return;
  }
  serve(port, opened);
}

if (parentPort) main(parentPort);
