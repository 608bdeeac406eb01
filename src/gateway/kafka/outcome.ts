import { MillraceError } from '../../kernel/index.ts';
import { KAFKA_ERRORS, KafkaError, type KafkaErrorName, kafkaErrorCode } from './errors.ts';

/** What became of one part of a request, as most APIs tell it. */
export interface Outcome {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

const DONE: Outcome = { errorCode: 0, errorMessage: null };

/** Does one part of a request; its errors are told in its place and leave the others alone. */
export async function outcomeOf(work: () => unknown): Promise<Outcome> {
  try {
    await work();
    return DONE;
  } catch (error) {
    return outcomeOfError(error);
  }
}

/** Rethrows what is no error of the protocol or the platform: that is a defect. */
export function outcomeOfError(error: unknown): Outcome {
  if (!(error instanceof KafkaError || error instanceof MillraceError)) throw error;
  return { errorCode: kafkaErrorCode(error), errorMessage: error.message };
}

export const refusal = (name: KafkaErrorName, errorMessage: string): Outcome => ({
  errorCode: KAFKA_ERRORS[name],
  errorMessage,
});
