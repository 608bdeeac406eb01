/** What `GET /overview` answers, as far as commands read it. */
export interface Overview {
  readonly time: string;
  readonly state: string;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly memoryBytes: number;
  readonly counts: { readonly streams: number; readonly functions: number };
  readonly streams: readonly StreamNow[];
  readonly functions: readonly FunctionNow[];
}

export interface StreamNow {
  readonly name: string;
  readonly perSecond: number;
  readonly bytesPerSecond: number;
  readonly records: number;
  readonly lag: number;
  readonly groups: readonly unknown[];
}

export interface FunctionNow {
  readonly name: string;
  readonly instances: number | null;
  readonly perSecond: number;
  readonly errorsPerSecond: number;
  readonly deadLettersPerSecond: number;
  readonly throttledPerSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}
