import { MillraceError, type ModelServing } from '../../kernel/index.ts';
import { isTensorSpec, type TensorSpec, type ValueSpec } from '../tensor.ts';

/** One input of a model, and what of it one row holds. */
export interface InputPlan {
  readonly spec: TensorSpec;
  /** Sizes of what one row holds; null where any size will do. */
  readonly rowDims: readonly (number | null)[];
}

/** How rows and a model's inputs fit together. */
export interface RowPlan {
  readonly inputs: readonly InputPlan[];
  /** Names of the columns, where the model takes one matrix and they are known. */
  readonly features: readonly string[] | undefined;
  /** Whether the first size of every input counts rows; else each row is a run of its own. */
  readonly batched: boolean;
  /** Whether each run has a first size of 1 in front of what a row holds. */
  readonly leadingOne: boolean;
}

/** Key of `metadata_props` under which files carry the names of their columns, as a JSON list. */
export const FEATURES_KEY = 'millrace.features';

/** Throws MODEL_UNSUPPORTED for a model that rows cannot be made for, INVALID_INPUT where declaration and model differ. */
export function planRows(
  specs: readonly ValueSpec[],
  metadata: { readonly [key: string]: string },
  serving: ModelServing,
): RowPlan {
  const tensors = specs.map((spec) => {
    if (isTensorSpec(spec)) return spec;
    const message = `The input '${spec.name}' is a ${spec.kind}; rows are made for tensors only.`;
    throw new MillraceError('MODEL_UNSUPPORTED', message);
  });
  const batched = tensors.every(({ dims }) => dims.length > 0 && typeof dims[0] !== 'number');
  const leadingOne = !batched && tensors.every(({ dims }) => dims[0] === 1);
  const inputs = tensors.map((spec): InputPlan => {
    const rest = batched || leadingOne ? spec.dims.slice(1) : spec.dims;
    return { spec, rowDims: rest.map((size) => (typeof size === 'number' ? size : null)) };
  });
  checkPreprocess(tensors, serving);
  return { inputs, features: featuresOf(inputs, metadata, serving), batched, leadingOne };
}

function featuresOf(
  inputs: readonly InputPlan[],
  metadata: { readonly [key: string]: string },
  serving: ModelServing,
): readonly string[] | undefined {
  const [only] = inputs;
  if (inputs.length !== 1 || only!.rowDims.length !== 1) return undefined;
  if (Object.hasOwn(serving.preprocess ?? {}, only!.spec.name)) return undefined;
  const width = only!.rowDims[0];
  const declared = serving.features ?? namesIn(metadata[FEATURES_KEY]);
  if (declared) {
    if (width === null || declared.length === width) return declared;
    const message = `The model takes ${width} columns and ${declared.length} features are named. Name each column once, in the model's order.`;
    throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/features', message }] });
  }
  const properties = Object.keys(propertiesOf(serving.input));
  return properties.length === width ? properties : undefined;
}

function propertiesOf(schema: ModelServing['input']): { readonly [name: string]: unknown } {
  const properties = typeof schema === 'object' ? schema.properties : undefined;
  return typeof properties === 'object' && properties !== null ? { ...properties } : {};
}

function namesIn(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined;
  try {
    const names: unknown = JSON.parse(text);
    const fits = Array.isArray(names) && names.every((name) => typeof name === 'string');
    return fits ? names : undefined;
  } catch {
    return undefined;
  }
}

function checkPreprocess(specs: readonly TensorSpec[], { preprocess }: ModelServing): void {
  for (const name of Object.keys(preprocess ?? {})) {
    if (specs.some((spec) => spec.name === name)) continue;
    const names = specs.map((spec) => spec.name).join(', ');
    const message = `The model has no input '${name}'; it has ${names}.`;
    throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: `/preprocess/${name}`, message }] });
  }
}
