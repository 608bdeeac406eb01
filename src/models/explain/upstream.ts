import { MillraceError } from '../../kernel/index.ts';
import { compileModel } from '../evaluator/index.ts';
import type { Values } from '../inference.port.ts';
import type { OnnxModel } from '../onnx/index.ts';
import { isTensor, type Tensor } from '../tensor.ts';

/** What the trees or weights of a model look at, for what is fed to the model. */
export type Upstream = (inputs: Values) => Tensor;

/** An input of the model is taken as it is; anything else is what the model's own nodes before it make of the inputs. */
export function upstreamOf(model: OnnxModel, name: string): Upstream {
  if (model.graph.inputs.some((input) => input.name === name)) return (inputs) => inputTensor(inputs, name);
  const part: OnnxModel = {
    ...model,
    graph: {
      ...model.graph,
      nodes: before(model, name),
      outputs: [{ name, type: { kind: 'tensor', type: 'float32', dims: ['rows', null] } }],
    },
  };
  const compiled = compileModel(part);
  return (inputs) => inputTensor(compiled.run(inputs), name);
}

/** The nodes that a value is made of, in their order. */
function before({ graph }: OnnxModel, name: string): OnnxModel['graph']['nodes'] {
  const wanted = new Set([name]);
  const needed = graph.nodes.toReversed().filter(({ inputs, outputs }) => {
    if (!outputs.some((output) => wanted.has(output))) return false;
    for (const input of inputs) wanted.add(input);
    return true;
  });
  return needed.toReversed();
}

function inputTensor(values: Values, name: string): Tensor {
  const value = values[name];
  if (value && isTensor(value)) return value;
  throw new MillraceError('INVALID_INPUT', `The input '${name}' is missing.`);
}
