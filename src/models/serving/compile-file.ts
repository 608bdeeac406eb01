import { type CompiledModel, compileModel } from '../evaluator/index.ts';
import { decodeModel, type OnnxModel } from '../onnx/index.ts';

export interface CompiledFile extends CompiledModel {
  /** `metadata_props` of the file. */
  readonly metadata: { readonly [key: string]: string };
}

/** An ONNX file as the evaluator runs it. Throws MODEL_INVALID, MODEL_UNSUPPORTED. */
export const compileFile = (bytes: Uint8Array): CompiledFile => compileDecoded(decodeModel(bytes));

/** The second half of `compileFile`, for who lets others run in between. */
export function compileDecoded(model: OnnxModel): CompiledFile {
  const entries = (model.metadata ?? []).map(({ key = '', value = '' }) => [key, value] as const);
  return { ...compileModel(model), metadata: Object.fromEntries(entries) };
}
