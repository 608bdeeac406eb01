import * as sdk from '../sdk/index.ts';

/**
 * Stands in for `millrace` while an app is looked at: the same SDK, which besides notes each resource that is made and
 * where. `inspect.worker.ts` takes the notes; both live in a worker that serves one inspection.
 */
export interface Made {
  readonly resource: object;
  /** Position in the bundle, both from 1; undefined when the engine did not say. */
  readonly place: { readonly line: number; readonly column: number } | undefined;
}

const BUNDLE_FRAME = /app\.bundle\.js[^:]*:(\d+):(\d+)/;

export const made: Made[] = [];

function noted<Args extends unknown[], Result extends object>(
  make: (...args: Args) => Result,
): (...args: Args) => Result {
  return (...args) => {
    const resource = make(...args);
    const frame = BUNDLE_FRAME.exec(new Error().stack ?? '');
    made.push({ resource, place: frame ? { line: Number(frame[1]), column: Number(frame[2]) } : undefined });
    return resource;
  };
}

export const stream = noted(sdk.stream as (...args: unknown[]) => sdk.StreamResource);
export const state = noted(sdk.state as (...args: unknown[]) => sdk.StateResource);
export const model = noted(sdk.model as (...args: unknown[]) => sdk.ModelResource);
export const fn = noted(sdk.fn as unknown as (...args: unknown[]) => sdk.FunctionResource);
export const {
  boostedTrees,
  isolationForest,
  kMeans,
  linearRegression,
  logisticRegression,
  mlp,
  textClassifier,
} = sdk;
export const { cron, defineConfig, drift, every, http, records } = sdk;
