import {
  attribute,
  encodeModel,
  type NamedTensor,
  named,
  node,
  type OnnxNode,
  type OnnxValueInfo,
} from '../../onnx/index.ts';
import { type Tensor, tensor } from '../../tensor.ts';
import type { Column } from '../dataset.ts';

/** Operators of these versions are all that is used: every runtime of the last years has them. */
const OPSETS = [
  { domain: '', version: 15 },
  { domain: 'ai.onnx.ml', version: 3 },
];
const IR_VERSION = 8;
const ML = 'ai.onnx.ml';

/** Puts a graph together, node by node. Values have names; every method gives the name of what it adds. */
export class GraphBuilder {
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers: NamedTensor[] = [];
  readonly #inputs: OnnxValueInfo[] = [];
  readonly #outputs: OnnxValueInfo[] = [];

  /**
   * The columns as one float32 matrix, categories as their codes and NaN where they are unknown. Numbers alone come in as
   * one input, `features`; with categories among them every column is an input of its own name, [rows, 1].
   */
  columns(columns: readonly Column[]): string {
    if (columns.every(({ kind }) => kind === 'number')) {
      return this.input('features', 'float32', columns.length);
    }
    const parts = columns.map((column) => {
      if (column.kind === 'number') return this.input(column.name, 'float32', 1);
      const text = this.input(column.name, 'string', 1);
      return this.ml('LabelEncoder', [text], `${column.name} code`, [
        attribute.strings('keys_strings', column.categories),
        attribute.floats(
          'values_floats',
          Float32Array.from(column.categories, (_, code) => code),
        ),
        attribute.float('default_float', Number.NaN),
      ]);
    });
    return this.add('Concat', parts, 'columns', [attribute.int('axis', 1)]);
  }

  input(name: string, type: Tensor['type'], width: number): string {
    this.#inputs.push({ name, type: { kind: 'tensor', type, dims: ['rows', width] } });
    return name;
  }

  /** Names a value as an output; `width` is absent where there is one answer a row and no second dimension. */
  output(name: string, type: Tensor['type'], width?: number): void {
    const dims = width === undefined ? ['rows'] : ['rows', width];
    this.#outputs.push({ name, type: { kind: 'tensor', type, dims } });
  }

  constant(name: string, dims: readonly number[], data: Float32Array | BigInt64Array): string {
    const type = data instanceof Float32Array ? 'float32' : 'int64';
    this.#initializers.push(named(name, tensor(type, dims, data)));
    return name;
  }

  add(
    type: string,
    inputs: readonly string[],
    output: string,
    attributes: OnnxNode['attributes'] = [],
  ): string {
    this.#nodes.push(node(type, inputs, [output], attributes));
    return output;
  }

  ml(type: string, inputs: readonly string[], output: string, attributes: OnnxNode['attributes']): string {
    this.#nodes.push(node(type, inputs, [output], attributes, ML));
    return output;
  }

  /**
   * From raw scores to `label` (a text a row) and `probabilities` (a column a class). One raw score is the log-odds of the
   * second class; several are made probabilities together.
   */
  classes(raw: string, classes: readonly string[], outputs: number): void {
    if (outputs === 1) {
      const second = this.add('Sigmoid', [raw], 'probability of the second');
      const one = this.constant('one', [], Float32Array.of(1));
      const first = this.add('Sub', [one, second], 'probability of the first');
      this.add('Concat', [first, second], 'probabilities', [attribute.int('axis', 1)]);
    } else {
      this.add('Softmax', [raw], 'probabilities', [attribute.int('axis', 1)]);
    }
    const best = this.add('ArgMax', ['probabilities'], 'best class', [
      attribute.int('axis', 1),
      attribute.int('keepdims', 0),
    ]);
    this.ml('LabelEncoder', [best], 'label', [
      attribute.ints(
        'keys_int64s',
        Array.from(classes, (_, place) => place),
      ),
      attribute.strings('values_strings', classes),
    ]);
    this.output('label', 'string');
    this.output('probabilities', 'float32', classes.length);
  }

  /** The file. `metadata` says what the graph has no place for. */
  encode(metadata: { readonly [key: string]: string }): Uint8Array {
    return encodeModel({
      irVersion: IR_VERSION,
      opsets: OPSETS,
      producerName: 'millrace',
      metadata: Object.entries(metadata).map(([key, value]) => ({ key, value })),
      graph: {
        name: 'model',
        nodes: this.#nodes,
        initializers: this.#initializers,
        inputs: this.#inputs,
        outputs: this.#outputs,
      },
    });
  }
}
