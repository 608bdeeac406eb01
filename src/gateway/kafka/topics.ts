import type { GuardAction } from '../../kernel/index.ts';
import type { LogStore, TopicInfo } from '../../streams/index.ts';
import { NO_UUID } from '../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS } from './errors.ts';

/** How a request names a topic: by its name, or since the versions of KIP-516 by its id. */
export interface TopicReference {
  readonly name: string;
  readonly topicId: string;
}

export type FoundTopic =
  | { readonly topic: TopicInfo; readonly errorCode: 0 }
  | { readonly topic: undefined; readonly errorCode: number };

/** Topics by name or id, for principals who may use them. */
export class Topics {
  readonly #log: LogStore;
  readonly #names = new Map<string, string>();

  constructor(log: LogStore) {
    this.#log = log;
  }

  byId(id: string): TopicInfo | undefined {
    const known = this.#names.get(id);
    const topic = known === undefined ? undefined : this.#log.topics.find(known);
    if (topic?.id === id) return topic;
    this.#names.clear();
    for (const each of this.#log.topics.list()) this.#names.set(each.id, each.name);
    const name = this.#names.get(id);
    return name === undefined ? undefined : this.#log.topics.find(name);
  }

  /** What is there, or the code that says why it is not to be had. Who may not use a topic learns that and nothing else. */
  find(
    { name, topicId }: TopicReference,
    action: 'read' | 'write',
    { permits }: { permits(action: GuardAction, resource: string): boolean },
  ): FoundTopic {
    const byId = topicId !== NO_UUID;
    const topic = byId ? this.byId(topicId) : this.#log.topics.find(name);
    const known = topic?.name ?? (byId ? undefined : name);
    if (known !== undefined && !permits(action, `stream/${known}`)) {
      return { topic: undefined, errorCode: KAFKA_ERRORS.TOPIC_AUTHORIZATION_FAILED };
    }
    if (topic) return { topic, errorCode: 0 };
    const errorCode = byId ? KAFKA_ERRORS.UNKNOWN_TOPIC_ID : KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION;
    return { topic: undefined, errorCode };
  }
}

/** The one leader epoch there is: the broker leads every partition from the first record to the last. */
export const LEADER_EPOCH = 0;

/** Error for the leader epoch that a client believes in; -1 says that it believes in none (KIP-320). */
export function leaderEpochError(currentLeaderEpoch: number): number {
  return currentLeaderEpoch > LEADER_EPOCH ? KAFKA_ERRORS.UNKNOWN_LEADER_EPOCH : 0;
}
