import { MillraceError } from '../../kernel/index.ts';

/** The file or the model in it is broken. `what` is a phrase without a full stop. */
export function invalid(
  what: string,
  remedy = 'Export the model again, and send the whole file',
): MillraceError {
  return new MillraceError('MODEL_INVALID', `${what}. ${remedy}.`);
}

/** A sound model that needs what is not there. */
export function unsupported(what: string, remedy: string): MillraceError {
  return new MillraceError('MODEL_UNSUPPORTED', `${what}. ${remedy}.`);
}
