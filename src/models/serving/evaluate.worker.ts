import type { Values } from '../inference.port.ts';
import { type CompiledFile, compileFile } from './compile-file.ts';

/** Tasks of the evaluator in platform workers. */
export interface EvaluatorModel {
  /** Hash of the file. */
  readonly key: string;
  /** Shared between threads. */
  readonly bytes: Uint8Array;
}

export interface RunInput {
  readonly model: EvaluatorModel;
  readonly feeds: Values;
}

/** Compiled models of this thread, the one used last at the end. */
const compiled = new Map<string, CompiledFile>();
const MOST_MODELS = 16;

function compiledOf({ key, bytes }: EvaluatorModel): CompiledFile {
  const found = compiled.get(key);
  if (found) {
    compiled.delete(key);
    compiled.set(key, found);
    return found;
  }
  const made = compileFile(bytes);
  compiled.set(key, made);
  if (compiled.size > MOST_MODELS) compiled.delete(compiled.keys().next().value!);
  return made;
}

export function inspect(model: EvaluatorModel) {
  const { inputs, outputs, metadata } = compiledOf(model);
  return { inputs, outputs, metadata };
}

export const run = ({ model, feeds }: RunInput): Values => compiledOf(model).run(feeds);
