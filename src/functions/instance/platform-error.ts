import type { ErrorCode } from '../../kernel/index.ts';

/**
 * An error of the platform as handlers see it: `code` is one of the error table. Not the kernel's class: loading the
 * kernel would make the start of every instance several times as long.
 */
export class PlatformError extends Error {
  override readonly name = 'MillraceError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
