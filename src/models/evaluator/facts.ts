import { invalid, type OnnxAttribute, type OnnxAttributeType, type OnnxNode } from '../onnx/index.ts';
import type { Value } from '../tensor.ts';
import type { Budget } from './limits.ts';
import type { NodeFacts, SubGraph } from './operator.ts';

/** A node's attributes by name, checked for their type: MODEL_INVALID where a file gives another. */
export function nodeFacts(
  node: OnnxNode,
  opset: number,
  constants: readonly (Value | undefined)[],
  budget: Budget,
  compileGraph: (graph: NonNullable<OnnxAttribute['graph']>) => SubGraph,
): NodeFacts {
  const byName = new Map(node.attributes.map((attribute) => [attribute.name, attribute]));
  const get = (name: string, type: OnnxAttributeType): OnnxAttribute | undefined => {
    const attribute = byName.get(name);
    if (!attribute) return undefined;
    const empty = attribute.type === 'ints' && (attribute.ints?.length ?? 0) === 0;
    if (attribute.type !== type && !(empty && type.endsWith('s'))) {
      throw invalid(
        `The attribute ${name} of ${node.type} is of type ${attribute.type} and has to be ${type}`,
      );
    }
    return attribute;
  };
  return {
    node,
    opset,
    constants,
    budget,
    outputCount: node.outputs.length,
    has: (name) => byName.has(name),
    int: (name, fallback) => get(name, 'int')?.int ?? fallback,
    float: (name, fallback) => get(name, 'float')?.float ?? fallback,
    string: (name, fallback) => get(name, 'string')?.string ?? fallback,
    ints: (name) => {
      const ints = get(name, 'ints')?.ints;
      return ints && Array.from(ints);
    },
    integers: (name) => get(name, 'ints')?.ints ?? [],
    floats: (name) => {
      const attribute = get(name, 'floats');
      return attribute && new Float32Array(attribute.floats ?? []);
    },
    strings: (name) => {
      const attribute = get(name, 'strings');
      return attribute && (attribute.strings ?? []);
    },
    tensor: (name) => get(name, 'tensor')?.tensor,
    graph: (name) => {
      const graph = get(name, 'graph')?.graph;
      if (!graph) throw invalid(`${node.type} has no graph ${name}`);
      return compileGraph(graph);
    },
  };
}
