import { elementCount } from '../tensor.ts';
import { invalid, unsupported } from './invalid.ts';
import { type Codec, many, mapped, message, numbers, one } from './messages.ts';
import type {
  NamedTensor,
  OnnxAttribute,
  OnnxAttributeType,
  OnnxFunction,
  OnnxGraph,
  OnnxMetadata,
  OnnxModel,
  OnnxNode,
  OnnxOpset,
  OnnxSparseTensor,
  OnnxType,
  OnnxValueInfo,
} from './model.ts';
import { decodeTensor, encodeTensor, numberOfType, typeOfNumber } from './tensors.ts';

/** Field numbers are those of onnx.proto (see `OnnxModel`). */
const OPSET = message<OnnxOpset>({ domain: one(1, 'text'), version: one(2, 'int') });
const METADATA = message<OnnxMetadata>({ key: one(1, 'text'), value: one(2, 'text') });
const TENSOR: Codec<NamedTensor> = { decode: decodeTensor, encode: encodeTensor };

const SPARSE = mapped(
  message<OnnxSparseTensor>({
    values: one(1, () => TENSOR),
    indices: one(2, () => TENSOR),
    dims: many(3, 'int'),
  }),
  (sparse) => {
    const { values, indices, dims } = sparse;
    if (!values || !indices || !Number.isSafeInteger(elementCount(dims)) || dims.some((size) => size < 0)) {
      throw invalid('A sparse tensor lacks its values, its indices or its sizes');
    }
    return sparse;
  },
  (sparse) => sparse,
);

interface RawDimension {
  readonly size?: number;
  readonly label?: string;
}
const SHAPE = message<{ dims: RawDimension[] }>({
  dims: many(1, () => message<RawDimension>({ size: one(1, 'int'), label: one(2, 'text') })),
});

interface RawTensorType {
  readonly type?: number;
  readonly shape?: { readonly dims: readonly RawDimension[] };
}
const TENSOR_TYPE = message<RawTensorType>({ type: one(1, 'int'), shape: one(2, () => SHAPE) });

interface RawElement {
  readonly element?: OnnxType;
}
const ELEMENT_TYPE = message<RawElement>({ element: one(1, () => TYPE) });

interface RawMap {
  readonly keyType?: number;
  readonly element?: OnnxType;
}
const MAP_TYPE = message<RawMap>({ keyType: one(1, 'int'), element: one(2, () => TYPE) });

interface RawType {
  readonly tensor?: RawTensorType;
  readonly sequence?: RawElement;
  readonly map?: RawMap;
  readonly sparse?: RawTensorType;
  readonly optional?: RawElement;
}
const TYPE: Codec<OnnxType> = mapped(
  message<RawType>({
    tensor: one(1, () => TENSOR_TYPE),
    sequence: one(4, () => ELEMENT_TYPE),
    map: one(5, () => MAP_TYPE),
    sparse: one(8, () => TENSOR_TYPE),
    optional: one(9, () => ELEMENT_TYPE),
  }),
  typeFromRaw,
  typeToRaw,
);

function typeFromRaw(raw: RawType): OnnxType {
  if (raw.tensor || raw.sparse) {
    const { type, shape } = (raw.tensor ?? raw.sparse)!;
    const dims = shape?.dims.map(({ size, label }) =>
      size !== undefined && size >= 0 ? size : (label ?? null),
    );
    const kind = raw.tensor ? 'tensor' : 'sparse';
    return { kind, type: typeOfNumber(type ?? 0), ...(dims ? { dims } : {}) };
  }
  const { map } = raw;
  const element = (raw.sequence ?? raw.optional ?? map)?.element;
  if (!element)
    throw unsupported('A value has a type that is not known here', 'Use tensors, sequences or maps');
  if (map) return { kind: 'map', keyType: typeOfNumber(map.keyType ?? 0), element };
  return { kind: raw.sequence ? 'sequence' : 'optional', element };
}

function typeToRaw(type: OnnxType): RawType {
  if ('type' in type) {
    const dims = type.dims?.map((size) =>
      typeof size === 'number' ? { size } : size === null ? {} : { label: size },
    );
    return { [type.kind]: { type: numberOfType(type.type), ...(dims ? { shape: { dims } } : {}) } };
  }
  if (type.kind === 'map') return { map: { keyType: numberOfType(type.keyType), element: type.element } };
  const { kind, element } = type;
  return { [kind]: { element } };
}

const VALUE_INFO = mapped(
  message<OnnxValueInfo>({ name: one(1, 'text'), type: one(2, () => TYPE) }),
  (info) => ({ ...info, name: info.name ?? '' }),
  (info) => info,
);

/** `AttributeProto.AttributeType`: the number of a type is its place here. */
const ATTRIBUTE_TYPES: readonly (OnnxAttributeType | undefined)[] = [
  ...([
    undefined,
    'float',
    'int',
    'string',
    'tensor',
    'graph',
    'floats',
    'ints',
    'strings',
    'tensors',
  ] as const),
  ...(['graphs', 'sparseTensor', 'sparseTensors', 'type', 'types'] as const),
];

type RawAttribute = Omit<OnnxAttribute, 'type'> & { readonly type?: number };

const LISTS: readonly (keyof RawAttribute)[] = [
  'floats',
  'ints',
  'strings',
  'tensors',
  'graphs',
  'sparseTensors',
];
const SINGLES: readonly (keyof RawAttribute)[] = [
  'float',
  'int',
  'string',
  'tensor',
  'graph',
  'sparseTensor',
];

const ATTRIBUTE: Codec<OnnxAttribute> = mapped(
  message<RawAttribute>({
    name: one(1, 'text'),
    float: one(2, 'float'),
    int: one(3, 'int'),
    string: one(4, 'text'),
    tensor: one(5, () => TENSOR),
    graph: one(6, () => GRAPH),
    floats: numbers(7, 'float'),
    ints: numbers(8, 'int'),
    strings: many(9, 'text'),
    tensors: many(10, () => TENSOR),
    graphs: many(11, () => GRAPH),
    valueType: one(14, () => TYPE),
    valueTypes: many(15, () => TYPE),
    type: one(20, 'int'),
    reference: one(21, 'text'),
    sparseTensor: one(22, () => SPARSE),
    sparseTensors: many(23, () => SPARSE),
  }),
  attributeFromRaw,
  (attribute) => ({ ...attribute, type: ATTRIBUTE_TYPES.indexOf(attribute.type) }),
);

/** Files of the first versions give no type: then it is that of the field that is there. */
function attributeFromRaw(raw: RawAttribute): OnnxAttribute {
  const name = raw.name ?? '';
  const filled = (key: keyof RawAttribute): boolean => (raw[key] as ArrayLike<unknown>).length > 0;
  const guess = SINGLES.find((key) => raw[key] !== undefined) ?? LISTS.find(filled) ?? 'ints';
  const type = raw.type === undefined ? (guess as OnnxAttributeType) : ATTRIBUTE_TYPES[raw.type];
  if (!type) throw invalid(`The attribute ${JSON.stringify(name)} has no type of ONNX`);
  const { reference } = raw;
  if (reference) return { name, type, reference };
  if (type === 'type') return { name, type, ...(raw.valueType ? { valueType: raw.valueType } : {}) };
  if (type === 'types') return { name, type, valueTypes: raw.valueTypes ?? [] };
  const empty = { float: 0, int: 0, string: '' } as { readonly [type: string]: unknown };
  const value = raw[type as keyof RawAttribute] ?? empty[type];
  if (value === undefined)
    throw invalid(`The attribute ${JSON.stringify(name)} says to be of ${type} and is not`);
  return { name, type, [type]: value };
}

const NODE: Codec<OnnxNode> = mapped(
  message<OnnxNode>({
    inputs: many(1, 'text'),
    outputs: many(2, 'text'),
    name: one(3, 'text'),
    type: one(4, 'text'),
    attributes: many(5, () => ATTRIBUTE),
    domain: one(7, 'text'),
    overload: one(8, 'text'),
  }),
  (node) => ({ ...node, type: node.type ?? '' }),
  (node) => node,
);

const GRAPH: Codec<OnnxGraph> = message<OnnxGraph>({
  nodes: many(1, () => NODE),
  name: one(2, 'text'),
  initializers: many(5, () => TENSOR),
  documentation: one(10, 'text'),
  inputs: many(11, () => VALUE_INFO),
  outputs: many(12, () => VALUE_INFO),
  values: many(13, () => VALUE_INFO),
  sparseInitializers: many(15, () => SPARSE),
});

const FUNCTION: Codec<OnnxFunction> = mapped(
  message<OnnxFunction>({
    name: one(1, 'text'),
    inputs: many(4, 'text'),
    outputs: many(5, 'text'),
    attributes: many(6, 'text'),
    nodes: many(7, () => NODE),
    opsets: many(9, () => OPSET),
    domain: one(10, 'text'),
    defaults: many(11, () => ATTRIBUTE),
    overload: one(13, 'text'),
  }),
  (definition) => ({ ...definition, name: definition.name ?? '' }),
  (definition) => definition,
);

const MODEL: Codec<OnnxModel> = message<OnnxModel>({
  irVersion: one(1, 'int'),
  producerName: one(2, 'text'),
  producerVersion: one(3, 'text'),
  domain: one(4, 'text'),
  modelVersion: one(5, 'int'),
  documentation: one(6, 'text'),
  graph: one(7, () => GRAPH),
  opsets: many(8, () => OPSET),
  metadata: many(14, () => METADATA),
  functions: many(25, () => FUNCTION),
});

/**
 * Reads an ONNX file. Nothing that the file says is believed: lengths stay inside the file, tensors have the elements
 * they claim, nesting is bounded, and data in other files are never opened. Memory is bounded by a small multiple of
 * the file. Tensors may share the memory of `bytes`.
 *
 * Errors: MODEL_INVALID for a broken file, MODEL_UNSUPPORTED for a sound one that needs what is not there.
 */
export function decodeModel(bytes: Uint8Array): OnnxModel {
  const model = MODEL.decode(bytes, 0);
  if (!model.graph) throw invalid('This is not an ONNX model: it has no graph');
  return { ...model, irVersion: model.irVersion ?? 0, opsets: model.opsets.map(opsetOf) };
}

function opsetOf({ domain, version }: OnnxOpset): OnnxOpset {
  return { domain: domain === 'ai.onnx' ? '' : (domain ?? ''), version: version ?? 1 };
}

/** Writes an ONNX file; tensors go in as `raw_data`. */
export function encodeModel(model: OnnxModel): Uint8Array {
  return MODEL.encode(model);
}
