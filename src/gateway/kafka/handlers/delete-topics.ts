import { DeleteTopics, NO_UUID } from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS } from '../errors.ts';
import type { Broker, Handler, RequestContext } from '../handler.ts';
import { outcomeOf, refusal } from '../outcome.ts';

/** Removes topics by name, and since version 6 by id. The platform's own stay. */
export function deleteTopicsHandler({ streams, topics }: Broker): Handler<typeof DeleteTopics> {
  const remove = async (name: string | null, topicId: string, context: RequestContext) => {
    const topic = name === null ? topics.byId(topicId) : streams.log.topics.find(name);
    const known = name ?? topic?.name;
    if (known === undefined) {
      return { name, topicId, errorCode: KAFKA_ERRORS.UNKNOWN_TOPIC_ID, errorMessage: null };
    }
    const answer = { name: known, topicId: topic?.id ?? NO_UUID };
    if (!context.permits('administer', `stream/${known}`) || topic?.internal) {
      const whose = topic?.internal ? `Topic '${known}' is the platform's own.` : 'Not permitted.';
      return { ...answer, ...refusal('TOPIC_AUTHORIZATION_FAILED', whose) };
    }
    return { ...answer, ...(await outcomeOf(() => streams.delete(known))) };
  };

  return {
    api: DeleteTopics,
    async handle(request, context) {
      const named = request.topicNames.map((name) => ({ name, topicId: NO_UUID }));
      const responses = [];
      for (const { name, topicId } of [...named, ...request.topics]) {
        responses.push(await remove(name, topicId, context));
      }
      return { responses };
    },
  };
}
