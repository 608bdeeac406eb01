import { MillraceError } from '../../kernel/index.ts';
import { decodeModel, type OnnxModel, type OnnxType, type OnnxValueInfo } from '../onnx/index.ts';
import {
  arrayOf,
  elementCount,
  isTensor,
  isTensorSpec,
  type TensorSpec,
  type Value,
  type ValueSpec,
} from '../tensor.ts';
import { Compiler } from './compiler.ts';
import { Budget, EVALUATOR_LIMITS, type EvaluatorLimits } from './limits.ts';
import { compileRows, type RowProgram } from './rows/program.ts';
import { Misfit } from './shapes.ts';

export type Feeds = { readonly [name: string]: Value };

/** A model that is ready to run. It keeps buffers between runs, and is synchronous: nothing else can run in between. */
export interface CompiledModel {
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  /**
   * Runs the model. INVALID_INPUT when what is fed does not fit `inputs` or the model cannot work on it,
   * MODEL_UNSUPPORTED when a run would take more than the limits.
   */
  run(feeds: Feeds): { [name: string]: Value };
  /** The model as a function of one row, where every row is computed for itself. The fastest way in. */
  readonly rows: RowProgram | undefined;
}

/**
 * Compiles a model, or the bytes of an ONNX file. Errors: MODEL_INVALID for one that is broken; MODEL_UNSUPPORTED names all
 * operators that are not there.
 */
export function compileModel(
  source: OnnxModel | Uint8Array,
  limits: Partial<EvaluatorLimits> = {},
): CompiledModel {
  const model = source instanceof Uint8Array ? decodeModel(source) : source;
  const budget = new Budget({ ...EVALUATOR_LIMITS, ...limits });
  const { plan } = new Compiler(model, budget).compile(model.graph);
  const constants = new Set(model.graph.initializers.map(({ name }) => name));
  for (const { values } of model.graph.sparseInitializers ?? []) constants.add(values.name);
  const inputs = model.graph.inputs.filter(({ name }) => !constants.has(name)).map(specOf);
  const outputs = model.graph.outputs.map(specOf);
  const rows = compileRows(plan, inputs, outputs);
  const names = new Set(inputs.map(({ name }) => name));
  return {
    inputs,
    outputs,
    rows: rows?.program,
    run(feeds) {
      for (const name of Object.keys(feeds)) if (!names.has(name)) throw unknownInput(name, inputs);
      const values = inputs.map((spec) => checkInput(spec, feeds[spec.name]));
      budget.reset();
      try {
        const results = rows?.runBatch(values) ?? plan.run(values);
        return Object.fromEntries(outputs.map(({ name }, index) => [name, resultOf(name, results[index])]));
      } catch (error) {
        if (!(error instanceof Misfit)) throw error;
        throw new MillraceError('INVALID_INPUT', `The model cannot work on these inputs: ${error.message}.`);
      }
    },
  };
}

function resultOf(name: string, value: Value | undefined): Value {
  if (value) return value;
  throw new MillraceError(
    'MODEL_INVALID',
    `The model leaves its output ${JSON.stringify(name)} without a value.`,
  );
}

function unknownInput(name: string, inputs: readonly ValueSpec[]): MillraceError {
  const names = inputs.map((spec) => spec.name).join(', ');
  return new MillraceError(
    'INVALID_INPUT',
    `The model has no input ${JSON.stringify(name)}; it has ${names || 'none'}.`,
  );
}

function checkInput(spec: ValueSpec, value: Value | undefined): Value {
  const refuse = (what: string): never => {
    throw new MillraceError('INVALID_INPUT', `The input ${JSON.stringify(spec.name)} ${what}.`);
  };
  if (!value) return refuse('is missing');
  if (!isTensorSpec(spec)) {
    const kind = isTensor(value) ? 'tensor' : value.kind;
    return kind === spec.kind || spec.kind === 'optional'
      ? value
      : refuse(`has to be a ${spec.kind}, not a ${kind}`);
  }
  if (!isTensor(value)) return refuse(`has to be a tensor of ${spec.type}, not a ${value.kind}`);
  if (value.type !== spec.type) return refuse(`has to be of ${spec.type}, not ${value.type}`);
  if (!spec.anyRank && !fits(spec, value.dims)) {
    return refuse(
      `has to be of [${spec.dims.map((size) => size ?? '?').join(', ')}], not [${value.dims.join(', ')}]`,
    );
  }
  if (value.data.length !== elementCount(value.dims)) {
    return refuse(`says to be of [${value.dims.join(', ')}] and has ${value.data.length} elements`);
  }
  if (value.data.constructor !== arrayOf(spec.type, 0).constructor) {
    return refuse(`of ${spec.type} lies in a ${value.data.constructor.name}, which holds another type`);
  }
  return value;
}

function fits(spec: TensorSpec, dims: readonly number[]): boolean {
  if (spec.dims.length !== dims.length) return false;
  return spec.dims.every((size, dim) => typeof size !== 'number' || size === dims[dim]);
}

/** What a value info says as a spec; a file that gives no type leaves it open. */
function specOf({ name, type }: OnnxValueInfo): ValueSpec {
  return type ? specOfType(name, type) : { name, type: 'float32', dims: [], anyRank: true };
}

function specOfType(name: string, type: OnnxType): ValueSpec {
  if ('type' in type) {
    return type.dims
      ? { name, type: type.type, dims: type.dims }
      : { name, type: type.type, dims: [], anyRank: true };
  }
  const element = specOfType('', type.element);
  return type.kind === 'map'
    ? { name, kind: 'map', keyType: type.keyType, element }
    : { name, kind: type.kind, element };
}
