import type { Tensor } from '../tensor.ts';
import type { NamedTensor, OnnxAttribute, OnnxNode } from './model.ts';

/** Makes attributes of nodes for models that are written here. */
export const attribute = {
  float: (name: string, float: number): OnnxAttribute => ({ name, type: 'float', float }),
  int: (name: string, int: number): OnnxAttribute => ({ name, type: 'int', int }),
  string: (name: string, string: string): OnnxAttribute => ({ name, type: 'string', string }),
  floats: (name: string, floats: ArrayLike<number>): OnnxAttribute => ({ name, type: 'floats', floats }),
  ints: (name: string, ints: ArrayLike<number>): OnnxAttribute => ({ name, type: 'ints', ints }),
  strings: (name: string, strings: readonly string[]): OnnxAttribute => ({ name, type: 'strings', strings }),
  tensor: (name: string, value: Tensor): OnnxAttribute => ({
    name,
    type: 'tensor',
    tensor: named('', value),
  }),
  graph: (name: string, graph: NonNullable<OnnxAttribute['graph']>): OnnxAttribute => ({
    name,
    type: 'graph',
    graph,
  }),
};

export function named(name: string, { type, dims, data }: Tensor): NamedTensor {
  return { name, type, dims, data };
}

/** A node; its name is that of its first output, which is unique in a graph. */
export function node(
  type: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly OnnxAttribute[] = [],
  domain = '',
): OnnxNode {
  return { name: outputs[0] ?? type, type, domain, inputs, outputs, attributes };
}
