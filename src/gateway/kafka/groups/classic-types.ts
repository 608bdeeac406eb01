import type { KafkaErrorName } from '../errors.ts';

/** What a member says of itself when it joins; the metadata is opaque, its leader reads it. */
export interface ClassicJoin {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  /** The ones it likes best first. */
  readonly protocols: readonly ClassicProtocol[];
  /** A new dynamic member is given its id first and joins with it then (KIP-394). */
  readonly requiresMemberId: boolean;
  /** A static leader that comes back can be told that the assignment stands (KIP-814). */
  readonly canSkipAssignment: boolean;
}

export interface ClassicProtocol {
  readonly name: string;
  readonly metadata: Uint8Array;
}

export interface JoinResult {
  readonly error: KafkaErrorName;
  readonly memberId: string;
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string;
  readonly skipAssignment: boolean;
  /** For the leader alone. */
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly metadata: Uint8Array;
  }[];
}

export interface ClassicSync {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Uint8Array }[];
}

export interface SyncResult {
  readonly error: KafkaErrorName;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Uint8Array;
}

/** Who asks, and of which generation it takes itself to be. */
export interface ClassicIdentity {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
}

/** The names that the protocol shows them by. */
export type ClassicState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';

export interface ClassicDescription {
  readonly state: ClassicState;
  readonly protocolType: string;
  readonly protocolName: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly clientId: string;
    readonly clientHost: string;
    readonly metadata: Uint8Array;
    readonly assignment: Uint8Array;
  }[];
}

/** A group as members of the classic protocol talk to it, whoever else is in it. */
export interface ClassicDoor {
  /** Answers once the rebalance is settled. */
  join(request: ClassicJoin): Promise<JoinResult>;
  /** Answers once there is an assignment. */
  sync(request: ClassicSync): Promise<SyncResult>;
  heartbeat(identity: ClassicIdentity): KafkaErrorName;
}

/** A member of the classic protocol, as it moves with its group from one protocol to the other. */
export interface MovingMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocols: readonly ClassicProtocol[];
  readonly assignment: Uint8Array;
}

/** The protocol type of consumers, the only one whose bytes the platform reads. */
export const CONSUMER_PROTOCOL = 'consumer';

export const NO_BYTES = new Uint8Array(0);

export function joinRefused(error: KafkaErrorName, memberId: string): JoinResult {
  return {
    error,
    memberId,
    generation: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    members: [],
  };
}

export function syncRefused(error: KafkaErrorName): SyncResult {
  return { error, protocolType: null, protocolName: null, assignment: NO_BYTES };
}
