import { Buffer } from 'node:buffer';
import { MillraceError } from '../../kernel/index.ts';
import type { Api, ResponseOf } from '../../streams/kafka-protocol/index.ts';
import { KafkaError, kafkaErrorCode } from './errors.ts';
import type { Handler } from './handler.ts';
import type { Session } from './sasl/session.ts';

/** An answer that says only the error's code, where the API has a place for one. */
export function errorResponse({ api }: Handler, error: unknown): ResponseOf<Api> | undefined {
  if (!(error instanceof KafkaError || error instanceof MillraceError)) return undefined;
  const response: { [name: string]: unknown } = {};
  for (const [name, { spec }] of Object.entries(api.response)) {
    if (name === 'errorCode') response[name] = kafkaErrorCode(error);
    else if (name === 'errorMessage') response[name] = error.message;
    else if (spec.type.kind === 'array') response[name] = [];
    else if (spec.type.kind === 'string') response[name] = '';
    else if (spec.type.kind === 'bytes') response[name] = new Uint8Array(0);
    else if (spec.fallback === undefined) response[name] = 0;
  }
  return 'errorCode' in response ? response : undefined;
}

/** One message of an authentication without Kafka's headers, as after version 0 of SaslHandshake. Whoever fails is cut off. */
export async function authenticateRaw(session: Session, message: Uint8Array): Promise<readonly Uint8Array[]> {
  try {
    const { reply } = await session.step(message);
    const size = Buffer.alloc(4);
    size.writeInt32BE(reply.length);
    return [size, reply];
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    throw new KafkaError('SASL_AUTHENTICATION_FAILED', error.message);
  }
}
