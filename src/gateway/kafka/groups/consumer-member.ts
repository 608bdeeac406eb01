import type { Clock, Timer } from '../../../kernel/index.ts';
import type { PartitionKey } from './assignors.ts';
import type { ClassicProtocol } from './classic-types.ts';

/** What a member says of itself; null: as before. */
export interface MemberProfile {
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number | null;
  readonly topicNames: readonly string[] | null;
  readonly topicRegex: string | null;
  readonly assignor: string | null;
  /** Left out by members that talk the newer protocol. */
  readonly classic?: ClassicFacts;
  /** Which topics a regular expression may find for it. */
  maySee(topic: string): boolean;
}

const NONE: ReadonlySet<PartitionKey> = new Set();

/** Where a member stands on its way to what it is to have. */
export type MemberState =
  | 'stable'
  /** It still has to give up partitions. */
  | 'unrevoked'
  /** It waits for partitions that others still have. */
  | 'unreleased';

/** What a member has that talks the classic protocol to a group of the newer one. */
export interface ClassicFacts {
  readonly sessionTimeoutMs: number;
  readonly protocols: readonly ClassicProtocol[];
}

/** One member of a group of the newer protocol. */
export class ConsumerMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  rackId: string | null = null;
  clientId = '';
  clientHost = '';
  rebalanceTimeoutMs = 0;
  topicNames: readonly string[] = [];
  topicRegex = '';
  /** Both as one text, to compare. */
  subscription = this.#describe();
  assignor: string | null = null;
  maySee: (topic: string) => boolean = () => true;
  epoch = 0;
  previousEpoch = 0;
  state: MemberState = 'stable';
  assigned: ReadonlySet<PartitionKey> = NONE;
  revoking: ReadonlySet<PartitionKey> = NONE;
  /** A static member that left for a while: whoever comes back under its instance takes its place. */
  away = false;
  /** Undefined for members that talk the newer protocol. */
  classic: ClassicFacts | undefined;
  #session: Timer | undefined;
  #rebalance: Timer | undefined;
  #rejoin: Timer | undefined;

  constructor(memberId: string, instanceId: string | null) {
    this.memberId = memberId;
    this.instanceId = instanceId;
  }

  /** Whether what it subscribes to, or how it wants it assigned, is another than before. */
  update(profile: MemberProfile): boolean {
    const { subscription: before, assignor: assignorBefore } = this;
    this.clientId = profile.clientId;
    this.clientHost = profile.clientHost;
    this.maySee = profile.maySee;
    this.classic = profile.classic;
    this.rackId = profile.rackId ?? this.rackId;
    this.rebalanceTimeoutMs = profile.rebalanceTimeoutMs ?? this.rebalanceTimeoutMs;
    this.topicNames = profile.topicNames ? [...new Set(profile.topicNames)].sort() : this.topicNames;
    this.topicRegex = profile.topicRegex ?? this.topicRegex;
    this.assignor = profile.assignor ?? this.assignor;
    if (profile.topicNames || profile.topicRegex !== null) this.subscription = this.#describe();
    return before !== this.subscription || assignorBefore !== this.assignor;
  }

  /** What its instance had under another member id. */
  takeOver(former: ConsumerMember): void {
    this.rackId = former.rackId;
    this.rebalanceTimeoutMs = former.rebalanceTimeoutMs;
    this.topicNames = former.topicNames;
    this.topicRegex = former.topicRegex;
    this.subscription = former.subscription;
    this.assignor = former.assignor;
    this.state = former.state;
    this.assigned = former.assigned;
    this.revoking = former.revoking;
  }

  advance(epoch: number): void {
    if (epoch === this.epoch) return;
    this.previousEpoch = this.epoch;
    this.epoch = epoch;
  }

  touch(clock: Clock, sessionMs: number, onExpired: () => void): void {
    this.#session?.cancel();
    this.#session = clock.after(sessionMs, onExpired);
  }

  /** Runs while the member has partitions to give up. */
  watchRevocation(clock: Clock, onLate: () => void): void {
    if (this.state !== 'unrevoked') {
      this.#rebalance?.cancel();
      this.#rebalance = undefined;
    } else this.#rebalance ??= clock.after(this.rebalanceTimeoutMs, onLate);
  }

  /** Runs from when a member of the classic protocol is told to join again. */
  expectRejoin(clock: Clock, onLate: () => void): void {
    this.#rejoin ??= clock.after(this.rebalanceTimeoutMs, onLate);
  }

  rejoined(): void {
    this.#rejoin?.cancel();
    this.#rejoin = undefined;
  }

  end(): void {
    this.#session?.cancel();
    this.#rebalance?.cancel();
    this.#rejoin?.cancel();
  }

  #describe(): string {
    return JSON.stringify([this.topicNames, this.topicRegex]);
  }
}
