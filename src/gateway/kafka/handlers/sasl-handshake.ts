import { SaslHandshake } from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS, KafkaError } from '../errors.ts';
import type { Handler } from '../handler.ts';
import { MECHANISMS } from '../sasl/session.ts';

/** Chooses how the client proves who it is, and tells how it may. */
export function saslHandshakeHandler(): Handler<typeof SaslHandshake> {
  return {
    api: SaslHandshake,
    handle({ mechanism }, { session, version }) {
      try {
        session.begin(mechanism);
        session.raw = version === 0;
        return { errorCode: 0, mechanisms: MECHANISMS };
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
        return { errorCode: KAFKA_ERRORS[error.kafkaName], mechanisms: MECHANISMS };
      }
    },
  };
}
