/**
 * The plain values that an app's module exports. `build` reads them to write the manifest; an instance reads the
 * handler. `kind` with `millrace: 1` tells them from anything else a module may export.
 */
export interface Resource {
  readonly millrace: 1;
  readonly name: string;
}

export interface StreamResource extends Resource {
  readonly kind: 'stream';
  /** As the user wrote them; `build` parses and checks. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface StateResource extends Resource {
  readonly kind: 'state';
  readonly options: Readonly<Record<string, unknown>>;
}

export interface ModelResource extends Resource {
  readonly kind: 'model';
  readonly options: Readonly<Record<string, unknown>>;
}

export interface FunctionResource extends Resource {
  readonly kind: 'function';
  readonly options: Readonly<Record<string, unknown>>;
  readonly handler: (event: never, context: never) => unknown;
}

/** A trigger as the SDK's helpers make it: `http.post(…)`, `every(…)`, `cron(…)`; a stream is its own trigger. */
export type TriggerResource =
  | StreamResource
  | {
      readonly millrace: 1;
      readonly kind: 'http';
      readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
      readonly path: string;
      readonly options: Readonly<Record<string, unknown>>;
    }
  | { readonly millrace: 1; readonly kind: 'every'; readonly interval: string | number }
  | { readonly millrace: 1; readonly kind: 'cron'; readonly expression: string; readonly timezone: string };
