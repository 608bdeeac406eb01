import { inspect } from 'node:util';
import type { WireError, WireErrorCode } from '../protocol.ts';

const MESSAGE_LENGTH = 8 * 1024;
const STACK_LENGTH = 16 * 1024;

/** Thrown inside an instance for what is wrong with a handler's result or input; carries the outcome's code. */
export class InstanceError extends Error {
  readonly code: WireErrorCode;

  constructor(code: WireErrorCode, message: string) {
    super(message);
    this.name = 'InstanceError';
    this.code = code;
  }
}

/** Anything may be thrown, hostile objects too: describing it must never throw itself. */
export function describeThrown(thrown: unknown): WireError {
  try {
    if (thrown instanceof InstanceError) return [thrown.code, thrown.name, thrown.message, undefined];
    if (thrown instanceof Error) {
      return [
        'FUNCTION_FAILED',
        text(thrown.name, 200),
        text(thrown.message),
        text(thrown.stack, STACK_LENGTH),
      ];
    }
    const kind = thrown === null ? 'null' : typeof thrown;
    return ['FUNCTION_FAILED', kind, text(typeof thrown === 'string' ? thrown : inspect(thrown)), undefined];
  } catch {
    return ['FUNCTION_FAILED', 'unknown', 'Something was thrown that cannot be described.', undefined];
  }
}

function text(value: unknown, limit = MESSAGE_LENGTH): string {
  const whole = String(value);
  return whole.length > limit ? `${whole.slice(0, limit)}…` : whole;
}
