import { threadId } from 'node:worker_threads';
import { MillraceError } from '../errors.ts';
import type { TaskContext } from './worker-main.ts';

/** Tasks to try the pool with. */
export const double = (input: number): number => input * 2;

export const thread = (): number => threadId;

export const reverse = (input: Uint8Array<ArrayBuffer>, context: TaskContext): Uint8Array => {
  context.transfer.push(input.buffer);
  return input.reverse();
};

export const refuse = (): never => {
  throw new MillraceError('INVALID_INPUT', 'No.', { errors: [{ path: '/a', message: 'No.' }] });
};

export const fail = (): never => {
  throw new TypeError('a detail for the log');
};

export const crash = (): never => process.exit(7);

export const spin = (input: SharedArrayBuffer): never => {
  const flag = new Int32Array(input);
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
  for (;;);
};

/** Waits until the flag is set from outside. */
export const wait = (input: SharedArrayBuffer): string => {
  Atomics.wait(new Int32Array(input), 0, 0);
  return 'done';
};
