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
const compiled = new Map<string, { readonly file: CompiledFile; readonly bytes: number }>();
/** Files of all of them together; compiled they take a few times that. One is kept however large. */
const MOST_FILE_BYTES = 24 * 1024 * 1024;
let fileBytes = 0;

function compiledOf({ key, bytes }: EvaluatorModel): CompiledFile {
  const found = compiled.get(key);
  if (found) {
    compiled.delete(key);
    compiled.set(key, found);
    return found.file;
  }
  const file = compileFile(bytes);
  compiled.set(key, { file, bytes: bytes.length });
  fileBytes += bytes.length;
  for (const [oldest, { bytes: freed }] of compiled) {
    if (fileBytes <= MOST_FILE_BYTES || oldest === key) break;
    compiled.delete(oldest);
    fileBytes -= freed;
  }
  return file;
}

export function inspect(model: EvaluatorModel) {
  const { inputs, outputs, metadata } = compiledOf(model);
  return { inputs, outputs, metadata };
}

export const run = ({ model, feeds }: RunInput): Values => compiledOf(model).run(feeds);
