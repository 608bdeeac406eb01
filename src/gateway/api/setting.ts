/** What a door tells every handler. */
export interface Setting {
  /** Fires when the platform stops: long answers end. */
  readonly closing: AbortSignal;
  /** Largest body that is read unless a route says otherwise. */
  readonly bodyBytes: number;
}

/** What a request was, for the signal that is given when its answer is through. */
export interface Served {
  route: string;
}
