import { type ContextProvider, type Json, MillraceError } from '../kernel/index.ts';
import type { Models, PredictOptions } from './service.ts';

/** `ctx.model(fraud).predict(rows, options)` inside functions. */
export function modelProvider(models: Models): ContextProvider {
  return {
    name: 'model',
    async call(_caller, resource, method, [rows, options]) {
      if (method !== 'predict') {
        throw new MillraceError(
          'BAD_REQUEST',
          `ctx.model('${resource}') has no ${method}(); it has predict(rows).`,
        );
      }
      if (!Array.isArray(rows)) {
        const message = 'predict() takes a list of rows.';
        throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '', message }] });
      }
      // A batch of records may bring nothing to ask.
      if (rows.length === 0) return [];
      const { predictions, explanations } = await models.predict(resource, rows, optionsIn(options));
      if (!explanations) return predictions as readonly Json[];
      return predictions.map((prediction, at) => ({ ...prediction, explanation: explanations[at]! }));
    },
  };
}

function optionsIn(options: Json | Uint8Array | undefined): PredictOptions {
  if (typeof options !== 'object' || options === null || options instanceof Uint8Array) return {};
  const { key, keys, version, explain } = options as { readonly [name: string]: Json };
  return {
    ...(typeof key === 'string' ? { key } : {}),
    ...(Array.isArray(keys) ? { keys: keys.map(String) } : {}),
    ...(typeof version === 'string' ? { version } : {}),
    ...(explain === true ? { explain } : {}),
  };
}
