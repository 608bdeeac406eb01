import { SaslAuthenticate } from '../../../streams/kafka-protocol/index.ts';
import type { Handler } from '../handler.ts';
import { outcomeOfError } from '../outcome.ts';

/** One message of the mechanism that the handshake chose. A client that fails is told so, and its connection ends. */
export function saslAuthenticateHandler(): Handler<typeof SaslAuthenticate> {
  return {
    api: SaslAuthenticate,
    async handle({ authBytes }, { session, endAfterAnswer }) {
      try {
        const { reply, lifetimeMs } = await session.step(authBytes);
        return { errorCode: 0, errorMessage: null, authBytes: reply, sessionLifetimeMs: lifetimeMs };
      } catch (error) {
        endAfterAnswer();
        return { ...outcomeOfError(error), authBytes: new Uint8Array(0) };
      }
    },
  };
}
