import { type CompiledModel, compileModel } from '../evaluator/index.ts';
import { decodeModel } from '../onnx/index.ts';

export interface CompiledFile extends CompiledModel {
  /** `metadata_props` of the file. */
  readonly metadata: { readonly [key: string]: string };
}

/** An ONNX file as the evaluator runs it. Throws MODEL_INVALID, MODEL_UNSUPPORTED. */
export function compileFile(bytes: Uint8Array): CompiledFile {
  const model = decodeModel(bytes);
  const entries = (model.metadata ?? []).map(({ key = '', value = '' }) => [key, value] as const);
  return { ...compileModel(model), metadata: Object.fromEntries(entries) };
}
