/** Who asks. */
export interface Principal {
  readonly id: string;
  /** What people call it, where it has a name of its own. */
  readonly name?: string;
  /** When its credentials end, where they do. */
  readonly expiresAtMs?: number;
  readonly kind: 'local' | 'token' | 'certificate' | 'sasl';
}

export type GuardAction = 'read' | 'write' | 'invoke' | 'deploy' | 'administer';

/** What credentials a door received. */
export interface Credentials {
  readonly bearer?: string;
  readonly user?: string;
  readonly password?: string;
  /** Of a client's certificate that the door has verified. */
  readonly certificate?: { readonly subject: string; readonly expiresAtMs: number };
  /** Whether the peer is on this machine's loopback interface. */
  readonly loopback: boolean;
}

/** Decides who someone is and what they may do. Doors ask; rooms behind them do not. */
export interface Guard {
  /** Throws UNAUTHENTICATED. */
  identify(credentials: Credentials): Promise<Principal>;
  /** Throws FORBIDDEN. `resource` is `kind/name`, such as `stream/payments`. */
  permit(principal: Principal, action: GuardAction, resource: string): void;
}
