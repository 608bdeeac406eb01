import type { FunctionError } from '../../functions/index.ts';
import { MillraceError, signal } from '../../kernel/index.ts';
import type { EdgeRoute } from './routes.ts';

/**
 * What a client learns of a failed function: that it failed, and the invocation to look up. The error itself goes to the
 * function's log: messages and stacks may hold what is not the client's.
 */
export function functionFailure(
  route: EdgeRoute,
  error: FunctionError,
  invocationId: string,
  traceparent: string,
  timeMs: number,
): MillraceError {
  const { code } = error;
  if (code === 'INVALID_INPUT') return new MillraceError('BAD_JSON', error.message);
  signal('function.log', {
    app: route.app,
    fn: route.fn,
    invocationId,
    traceId: traceparent.slice(3, 35),
    level: 'error',
    timeMs,
    message: `${error.name}: ${error.message}`,
    attributes: { code, route: `${route.method} ${route.path}`, stack: error.stack },
  });
  return new MillraceError(
    code,
    `${WHAT[code](route.fn)} Its log has the details under invocation ${invocationId}.`,
  );
}

const WHAT = {
  FUNCTION_FAILED: (fn: string) => `The function '${fn}' failed.`,
  FUNCTION_TIMED_OUT: (fn: string) => `The function '${fn}' did not answer within its timeout.`,
  FUNCTION_CRASHED: (fn: string) => `The instance of the function '${fn}' ended before it answered.`,
  RESULT_INVALID: (fn: string) => `The function '${fn}' answered with something that cannot be sent.`,
} as const;

export function stopping(): MillraceError {
  return new MillraceError('UNAVAILABLE', 'The platform is stopping. Try again when it is back.', {
    retryAfterMs: 1000,
  });
}

export function noRoute(path: string): MillraceError {
  return new MillraceError(
    'NOT_FOUND',
    `No app serves '${path.slice(0, 200)}'. \`millrace ls\` shows the routes there are.`,
  );
}

export function otherMethods(method: string, path: string, allowed: readonly string[]): MillraceError {
  return new MillraceError(
    'METHOD_NOT_ALLOWED',
    `'${path.slice(0, 200)}' is not served for ${method}, but for ${allowed.join(', ')}.`,
  );
}
