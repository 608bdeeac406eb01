import { isMillraceError } from '../../kernel/index.ts';
import {
  invalid,
  type OnnxAttribute,
  type OnnxFunction,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxOpset,
  unsupported,
} from '../onnx/index.ts';
import type { Value } from '../tensor.ts';
import { nodeFacts } from './facts.ts';
import type { Budget } from './limits.ts';
import type { Kernel, NodeFacts, Operator } from './operator.ts';
import { DOMAINS, operatorOf } from './operators.ts';
import { inOrder } from './order.ts';
import { Plan, runKernel, type Step } from './plan.ts';
import { Misfit } from './shapes.ts';
import { denseOf } from './sparse.ts';

/** Functions within functions, graphs within graphs. */
const MOST_LEVELS = 64;

/** What a graph is compiled in: versions of operators, and values of attributes that a function's body refers to. */
interface Surroundings {
  readonly opsets: ReadonlyMap<string, number>;
  readonly bindings: ReadonlyMap<string, OnnxAttribute>;
  readonly level: number;
}

type Entry = { readonly slot: number; readonly value?: Value };

/** Names of one graph; those of the graph around are captured when they are first used. */
class Scope {
  readonly names = new Map<string, Entry>();
  readonly constants: { slot: number; value: Value }[] = [];
  readonly captures: { readonly name: string; readonly slot: number }[] = [];
  readonly parent: Scope | undefined;
  slots = 0;

  constructor(parent: Scope | undefined) {
    this.parent = parent;
  }

  define(name: string, value?: Value): number {
    if (this.names.has(name)) throw invalid(`Two nodes or inputs make ${JSON.stringify(name)}`);
    const slot = this.slots++;
    this.names.set(name, value === undefined ? { slot } : { slot, value });
    if (value !== undefined) this.constants.push({ slot, value });
    return slot;
  }

  find(name: string): Entry | undefined {
    const own = this.names.get(name);
    if (own) return own;
    const outer = this.parent?.find(name);
    if (!outer) return undefined;
    const slot = this.define(name, outer.value);
    if (outer.value === undefined) this.captures.push({ name, slot });
    return this.names.get(name)!;
  }
}

export interface CompiledGraph {
  readonly plan: Plan;
  readonly captures: readonly string[];
  /** Outputs that do not depend on any input, by place. */
  readonly constants: readonly (Value | undefined)[];
}

/** Compiles graphs of one model; collects all that is not supported before it says so. */
export class Compiler {
  readonly budget: Budget;
  readonly #functions: ReadonlyMap<string, OnnxFunction>;
  readonly #missing = new Set<string>();
  readonly #surroundings: Surroundings;
  #nodes = 0;

  constructor(model: OnnxModel, budget: Budget) {
    this.budget = budget;
    this.#functions = new Map((model.functions ?? []).map((each) => [functionKey(each, each.name), each]));
    this.#surroundings = { opsets: opsetsOf(model.opsets), bindings: new Map(), level: 0 };
  }

  /** MODEL_UNSUPPORTED with every operator that is missing; MODEL_INVALID when the graph does not hold together. */
  compile(graph: OnnxGraph): CompiledGraph {
    let compiled: CompiledGraph;
    try {
      compiled = this.#graph(graph, undefined, this.#surroundings);
    } catch (error) {
      if (error instanceof Misfit) throw invalid(`The model does not fit together: ${error.message}`);
      throw error;
    }
    if (this.#missing.size > 0) {
      const names = [...this.#missing].sort();
      const list = names.slice(0, 20).join(', ') + (names.length > 20 ? `, ${names.length - 20} more` : '');
      throw unsupported(
        `The evaluator does not have: ${list}`,
        'Serve the model with ONNX Runtime (onnxruntime-node)',
      );
    }
    return compiled;
  }

  #graph(graph: OnnxGraph, parent: Scope | undefined, around: Surroundings): CompiledGraph {
    if (around.level > MOST_LEVELS)
      throw invalid(`Functions or graphs nest more than ${MOST_LEVELS} levels deep`);
    const scope = new Scope(parent);
    for (const tensor of graph.initializers) scope.define(tensor.name, tensor);
    for (const sparse of graph.sparseInitializers ?? []) {
      scope.define(sparse.values.name, denseOf(sparse, this.budget));
    }
    const inputs: number[] = [];
    for (const { name } of graph.inputs) {
      if (parent === undefined && scope.names.has(name)) continue;
      inputs.push(scope.define(name));
    }
    const steps: Step[] = [];
    const known = (name: string): boolean => scope.find(name) !== undefined;
    for (const node of inOrder(graph.nodes, known)) {
      const step = this.#node(node, scope, around);
      if (step) steps.push(step);
    }
    const outputs = graph.outputs.map(({ name }) => {
      const entry = scope.find(name);
      if (!entry) throw invalid(`Nothing makes the output ${JSON.stringify(name)}`);
      return entry;
    });
    const plan = new Plan(
      {
        ...{ slots: scope.slots, inputs, outputs: outputs.map(({ slot }) => slot), steps },
        ...{ constants: scope.constants, captures: scope.captures.map(({ slot }) => slot) },
      },
      this.budget,
    );
    const constants = outputs.map(({ value }) => value);
    return { plan, captures: scope.captures.map(({ name }) => name), constants };
  }

  /** The step of a node; undefined when its outputs are known already. */
  #node(node: OnnxNode, scope: Scope, around: Surroundings): Step | undefined {
    this.#nodes += 1;
    if (this.#nodes > this.budget.limits.nodes) {
      throw unsupported(
        `The model has more than ${this.budget.limits.nodes} nodes`,
        'Serve it with ONNX Runtime',
      );
    }
    const label = `${node.type} ${JSON.stringify(node.name || (node.outputs[0] ?? ''))}`;
    const entries = node.inputs.map((name) => {
      if (name === '') return undefined;
      const entry = scope.find(name);
      if (!entry) throw invalid(`Nothing makes ${JSON.stringify(name)}, which node ${label} takes`);
      return entry;
    });
    const inner: Step['inner'][number][] = [];
    const compileInner = (graph: OnnxGraph): Plan => {
      const compiled = this.#graph(graph, scope, { ...around, level: around.level + 1 });
      inner.push({ plan: compiled.plan, from: compiled.captures.map((name) => scope.find(name)!.slot) });
      return compiled.plan;
    };
    const made = this.#kernel(node, entries, around, compileInner);
    const define = (values?: readonly (Value | undefined)[]): number[] =>
      node.outputs.map((name, index) => (name === '' ? -1 : scope.define(name, values?.[index])));
    if (!made) {
      define();
      return undefined;
    }
    const { kernel, facts } = made;
    const folded = inner.length === 0 && this.#fold(label, kernel, entries);
    if (folded) {
      if (node.outputs.every((name, index) => name === '' || folded[index] !== undefined)) define(folded);
      else throw invalid(`Node ${label} does not have so many outputs`);
      return undefined;
    }
    const outputs = define();
    return {
      label,
      kernel,
      facts,
      inputs: entries.map((entry) => entry?.slot ?? -1),
      outputs,
      inner,
      release: [],
    };
  }

  /** Runs a node whose inputs are all known. What goes wrong is left for the run: the node may never be reached. */
  #fold(
    label: string,
    kernel: Kernel,
    entries: readonly (Entry | undefined)[],
  ): readonly (Value | undefined)[] | undefined {
    if (entries.some((entry) => entry && entry.value === undefined)) return undefined;
    try {
      return runKernel(
        label,
        kernel,
        entries.map((entry) => entry?.value),
      );
    } catch (error) {
      if (error instanceof Misfit || isMillraceError(error)) return undefined;
      throw error;
    }
  }

  #kernel(
    node: OnnxNode,
    entries: readonly (Entry | undefined)[],
    around: Surroundings,
    compileInner: (graph: OnnxGraph) => Plan,
  ): { readonly kernel: Kernel; readonly facts: NodeFacts | undefined } | undefined {
    const definition = this.#functions.get(functionKey(node, node.type));
    if (definition) return { kernel: this.#call(definition, node, around), facts: undefined };
    const domain = node.domain === 'ai.onnx' ? '' : (node.domain ?? '');
    const operator = operatorOf(domain, node.type);
    const opset = around.opsets.get(domain);
    const name = `${domain === '' ? '' : `${domain}.`}${node.type}`;
    if (!operator) {
      this.#missing.add(name);
      return undefined;
    }
    if (opset === undefined) throw invalid(`The model uses ${name} and imports no version of its domain`);
    if (opset < operator.since) {
      this.#missing.add(`${name} of opset ${opset} (from ${operator.since} on it is there)`);
      return undefined;
    }
    requireInputs(name, operator, entries);
    const bound = { ...node, attributes: bind(node.attributes, around.bindings) };
    const constants = entries.map((entry) => entry?.value);
    const facts = nodeFacts(bound, opset, constants, this.budget, compileInner);
    return { kernel: operator.compile(facts), facts };
  }

  /** A call of one of the model's own functions: its body, compiled for the attributes of this call. */
  #call(definition: OnnxFunction, node: OnnxNode, around: Surroundings): Kernel {
    const bindings = new Map(definition.defaults.map((attribute) => [attribute.name, attribute]));
    for (const attribute of bind(node.attributes, around.bindings)) bindings.set(attribute.name, attribute);
    const opsets = definition.opsets.length > 0 ? opsetsOf(definition.opsets) : around.opsets;
    const named = (names: readonly string[]): { readonly name: string }[] => names.map((name) => ({ name }));
    const { plan } = this.#graph(
      {
        ...{ nodes: definition.nodes, initializers: [] },
        ...{ inputs: named(definition.inputs), outputs: named(definition.outputs) },
      },
      undefined,
      { opsets, bindings, level: around.level + 1 },
    );
    return (inputs) => plan.run(inputs);
  }
}

function requireInputs(name: string, operator: Operator, entries: readonly (Entry | undefined)[]): void {
  for (let index = 0; index < operator.required; index += 1) {
    if (!entries[index]) throw invalid(`A node ${name} lacks its input ${index}`);
  }
}

/** Attributes with references replaced by what the caller of the function gives; without that, they are absent. */
function bind(
  attributes: readonly OnnxAttribute[],
  bindings: ReadonlyMap<string, OnnxAttribute>,
): readonly OnnxAttribute[] {
  return attributes.flatMap((attribute) => {
    if (!attribute.reference) return [attribute];
    const value = bindings.get(attribute.reference);
    return value ? [{ ...value, name: attribute.name }] : [];
  });
}

function functionKey(of: { readonly domain?: string; readonly overload?: string }, name: string): string {
  return [of.domain ?? '', name, of.overload ?? ''].join('\n');
}

/** Versions by domain. Newer ones than are known here may mean something else: MODEL_UNSUPPORTED. */
function opsetsOf(opsets: readonly OnnxOpset[]): ReadonlyMap<string, number> {
  const versions = new Map<string, number>();
  for (const { domain = '', version } of opsets) {
    const newest = DOMAINS[domain];
    if (newest !== undefined && version > newest) {
      throw unsupported(
        `The model uses opset ${version} of ${domain || 'ai.onnx'}, and the newest known here is ${newest}`,
        'Export it for an older opset, or serve it with ONNX Runtime',
      );
    }
    versions.set(domain, version);
  }
  return versions;
}
