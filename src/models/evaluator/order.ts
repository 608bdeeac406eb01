import { invalid, type OnnxGraph, type OnnxNode } from '../onnx/index.ts';

/**
 * Nodes so that each comes after those that make its inputs. Files have to be in such an order, and some are not.
 * MODEL_INVALID when there is none, or when nothing makes an input. `known` says what is there from the start.
 */
export function inOrder(nodes: readonly OnnxNode[], known: (name: string) => boolean): readonly OnnxNode[] {
  const makers = new Map<string, number>();
  for (const [index, node] of nodes.entries())
    for (const name of node.outputs) if (name) makers.set(name, index);
  const needs = nodes.map((node) => needsOf(node));
  const isSorted = needs.every((names, index) =>
    [...names].every((name) => (makers.get(name) ?? -1) < index),
  );
  if (isSorted) return nodes;
  const waiting = needs.map(
    (names) => new Set([...names].filter((name) => makers.has(name) && !known(name))),
  );
  const users = new Map<string, number[]>();
  for (const [index, names] of waiting.entries()) {
    for (const name of names) users.set(name, [...(users.get(name) ?? []), index]);
  }
  const ready = waiting.flatMap((names, index) => (names.size === 0 ? [index] : []));
  const order: OnnxNode[] = [];
  for (let next = 0; next < ready.length; next += 1) {
    const node = nodes[ready[next]!]!;
    order.push(node);
    for (const name of node.outputs) {
      for (const user of users.get(name) ?? []) {
        if (waiting[user]!.delete(name) && waiting[user]!.size === 0) ready.push(user);
      }
    }
  }
  if (order.length < nodes.length) {
    const stuck = nodes[waiting.findIndex((names) => names.size > 0)]!;
    throw invalid(`The graph has a cycle through ${stuck.type} ${JSON.stringify(stuck.name ?? '')}`);
  }
  return order;
}

/** Names that a node reads: its inputs, and what graphs of its own take from outside. */
function needsOf(node: OnnxNode): ReadonlySet<string> {
  const names = new Set(node.inputs.filter((name) => name !== ''));
  for (const { graph, graphs } of node.attributes) {
    for (const inner of graph ? [graph] : (graphs ?? []))
      for (const name of freeNames(inner)) names.add(name);
  }
  return names;
}

function freeNames(graph: OnnxGraph): ReadonlySet<string> {
  const own = new Set([
    ...graph.inputs.map(({ name }) => name),
    ...graph.initializers.map(({ name }) => name),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
  const used = [
    ...graph.nodes.flatMap((node) => [...needsOf(node)]),
    ...graph.outputs.map(({ name }) => name),
  ];
  return new Set(used.filter((name) => !own.has(name)));
}
