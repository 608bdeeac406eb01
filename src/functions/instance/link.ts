import type { InstanceChannel } from '../port.ts';
import { CALL_LIMIT, type CallOperation, type FromInstance, type ToInstance } from '../protocol.ts';
import { PlatformError } from './platform-error.ts';
import type { Running } from './running.ts';

/** The instance's side of the conversation: messages out, and round trips that wait for their answer. */
export interface Link {
  send(message: FromInstance, transfer?: readonly ArrayBuffer[]): void;
  /**
   * Asks the platform for something on behalf of an invocation; `read` makes the result of its answer. Rejects with what
   * the platform refuses it with. Hand its promise on as it is: one derived from it would be unhandled again.
   */
  call(
    running: Running,
    operation: CallOperation,
    transfer?: readonly ArrayBuffer[],
    read?: (answer: unknown) => unknown,
  ): Promise<unknown>;
  /** Hands over an answer or a refusal. */
  settle(message: Extract<ToInstance, readonly ['answer' | 'refusal', ...unknown[]]>): void;
}

interface Waiting {
  readonly running: Running;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly read: (answer: unknown) => unknown;
}

export function createLink(channel: InstanceChannel): Link {
  let nextCallId = 1;
  const waiting = new Map<number, Waiting>();
  return {
    send: (message, transfer) => channel.send(message, transfer),
    call(running, operation, transfer, read = (answer) => answer) {
      if (running.calls >= CALL_LIMIT) {
        const message = `The invocation waits for ${CALL_LIMIT} answers already. Await some before asking for more.`;
        return Promise.reject(new PlatformError('TOO_MANY_REQUESTS', message));
      }
      running.calls++;
      const callId = nextCallId++;
      channel.send(['call', callId, running.id, operation], transfer);
      const answered = new Promise((resolve, reject) =>
        waiting.set(callId, { running, resolve, reject, read }),
      );
      // A call that nobody awaits must not end the instance with all its neighbours; `settle` tells its refusal.
      answered.catch(() => undefined);
      return answered;
    },
    settle(message) {
      const found = waiting.get(message[1]);
      if (!found) return;
      waiting.delete(message[1]);
      found.running.calls--;
      if (message[0] === 'answer') found.resolve(found.read(message[2]));
      else {
        if (found.running.ended || found.running.cancelled)
          channel.send(lateRefusal(found.running, message[3]));
        found.reject(refusalError(message[2], message[3]));
      }
    },
  };
}

function lateRefusal({ id, invocationId, traceId }: Running, message: string): FromInstance {
  return ['log', id, invocationId, traceId, 'error', message, undefined];
}

/** Codes of the error table come back as they are; anything else is the failure of a called function. */
function refusalError(code: string, message: string): Error {
  return Object.assign(new Error(message), { name: 'MillraceError', code });
}
