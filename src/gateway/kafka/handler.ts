import type { Acls, ScramUsers } from '../../govern/index.ts';
import type { Clock, GuardAction, Principal, Random, SectionValues } from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import type { Api, RequestOf, ResponseOf, VersionRange } from '../../streams/kafka-protocol/index.ts';
import type { kafkaSection } from './config.ts';
import type { QuotaKey, Quotas } from './quotas.ts';
import type { Session } from './sasl/session.ts';
import type { Topics } from './topics.ts';

/** What handlers work on: made once per door. */
export interface Broker {
  readonly streams: Streams;
  readonly clock: Clock;
  readonly random: Random;
  readonly cluster: Cluster;
  readonly topics: Topics;
  readonly acls: Acls;
  readonly scram: ScramUsers;
  readonly quotas: Quotas;
  readonly config: SectionValues<typeof kafkaSection>;
}

/** There is one broker; clients of every size find all partitions and all groups on it. */
export interface Cluster {
  /** The same for the life of the data; known once the door is open. */
  readonly id: string;
  readonly nodeId: number;
}

/** How a client reaches the broker again: as the operator advertises it, else as it came in. */
export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

/** One request as its handler sees it. */
export interface RequestContext {
  /** Of the request; the response is written in the same. */
  readonly version: number;
  readonly clientId: string | null;
  readonly principal: Principal;
  /** Who the connection is, and how it comes to be known. */
  readonly session: Session;
  /** Address of the peer, without its port. */
  readonly peer: string;
  readonly broker: BrokerAddress;
  /** What an answer should not exceed now: less while clients are slow to take what they asked for. */
  readonly mostResponseBytes: number;
  /** Fires when the connection or the door ends: what waits for this request waits no longer. */
  readonly signal: AbortSignal;
  /** Whether the principal may; where it may not, the API's own authorization error is the answer. */
  permits(action: GuardAction, resource: string): boolean;
  /**
   * Lets the next request of the connection begin before this one is answered. A request whose effects are in order by
   * then calls it (Produce, once everything is appended); answers leave in the order of the requests in any case.
   */
  proceed(): void;
  /**
   * Keeps the memory of the request as it is until what it gives is called. Once all who held it are done it is used for other
   * requests; where nobody ever holds it (or it is undefined: the memory is not used again) views of it stay good for ever.
   */
  hold(): (() => void) | undefined;
  /** Memory for large bytes of the answer: used again when the client has taken it. */
  lend(bytes: number): Uint8Array;
  /** Counts bytes towards the client's quota; gives the time for which it is to be quiet, and will not be listened to. */
  throttle(key: QuotaKey, bytes: number): number;
  /** Ends the connection once the answer to this request has left. */
  endAfterAnswer(): void;
}

/** One API: every file of `handlers/` makes one of these. */
export interface Handler<Of extends Api = Api> {
  readonly api: Of;
  /** What is served and advertised; all that the table describes, unless told. */
  readonly versions?: VersionRange;
  /**
   * Throws KafkaError or MillraceError only where the whole request fails: the answer is then one with the error's code
   * and nothing else, or the end of the connection where the API has no place for a code. Errors of one topic or
   * partition have their places in the response. Undefined: no answer is sent (Produce with acks 0).
   */
  handle(
    request: RequestOf<Of>,
    context: RequestContext,
  ): ResponseOf<Of> | undefined | Promise<ResponseOf<Of> | undefined>;
}
