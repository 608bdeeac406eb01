import {
  arrayOf,
  elementCount,
  type Tensor,
  type TensorType,
  WireReader,
  WireWriter,
} from '../../models/index.ts';
import type { InferRequest, InferResult, ModelMetadata, TensorMetadata } from './service.ts';
import {
  checkShape,
  datatypeOf,
  tensorFromBytes,
  tensorToBytes,
  textOf,
  typeOfDatatype,
  wrongTensor,
} from './tensors.ts';

/**
 * Messages of inference.GRPCInferenceService
 * (https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto). Field
 * numbers stand beside what reads and writes them; unknown fields are skipped.
 */

/** `name = 1`, `version = 2`: ModelReadyRequest, ModelMetadataRequest. */
export function readModelName(bytes: Uint8Array): {
  readonly name: string;
  readonly version: string | undefined;
} {
  let name = '';
  let version = '';
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) name = reader.text();
    else if (reader.field === 2) version = reader.text();
    else reader.skip();
  }
  return { name, version: version === '' ? undefined : version };
}

/** ServerLiveResponse `live = 1`, ServerReadyResponse and ModelReadyResponse `ready = 1`, HealthCheckResponse `status = 1`. */
export function writeFlag(flag: boolean): Uint8Array {
  const writer = new WireWriter();
  if (flag) {
    writer.tag(1, 0);
    writer.varint(1);
  }
  return writer.finish();
}

/** ServerMetadataResponse: `name = 1`, `version = 2`, `extensions = 3`. */
export function writeServer(server: {
  name: string;
  version: string;
  extensions: readonly string[];
}): Uint8Array {
  const writer = new WireWriter();
  writeText(writer, 1, server.name);
  writeText(writer, 2, server.version);
  for (const extension of server.extensions) writeText(writer, 3, extension);
  return writer.finish();
}

/** ModelMetadataResponse: `name = 1`, `versions = 2`, `platform = 3`, `inputs = 4`, `outputs = 5`. */
export function writeMetadata({ name, versions, platform, inputs, outputs }: ModelMetadata): Uint8Array {
  const writer = new WireWriter();
  writeText(writer, 1, name);
  for (const version of versions) writeText(writer, 2, version);
  writeText(writer, 3, platform);
  for (const input of inputs) writeChunk(writer, 4, tensorMetadata(input));
  for (const output of outputs) writeChunk(writer, 5, tensorMetadata(output));
  return writer.finish();
}

/** `name = 1`, `datatype = 2`, `shape = 3`. */
function tensorMetadata({ name, datatype, shape }: TensorMetadata): Uint8Array {
  const writer = new WireWriter();
  writeText(writer, 1, name);
  writeText(writer, 2, datatype);
  writeShape(writer, shape);
  return writer.finish();
}

function writeText(writer: WireWriter, field: number, text: string): void {
  writer.tag(field, 2);
  writer.text(text);
}

function writeChunk(writer: WireWriter, field: number, bytes: Uint8Array): void {
  writer.tag(field, 2);
  writer.chunk(bytes);
}

/** `repeated int64 shape = 3`, packed. */
function writeShape(writer: WireWriter, shape: readonly number[]): void {
  const packed = new WireWriter();
  for (const size of shape) packed.varint(size);
  writeChunk(writer, 3, packed.finish());
}

interface ReadTensor {
  name: string;
  datatype: string;
  readonly shape: number[];
  contents: Uint8Array | undefined;
}

/**
 * ModelInferRequest: `model_name = 1`, `model_version = 2`, `id = 3`, `parameters = 4`, `inputs = 5`, `outputs = 6`,
 * `raw_input_contents = 7`. Throws INVALID_INPUT.
 */
export function readInferRequest(bytes: Uint8Array): InferRequest & { readonly id: string } {
  const request = { model: '', version: '', id: '' };
  let key: string | undefined;
  const tensors: ReadTensor[] = [];
  const outputs: string[] = [];
  const raw: Uint8Array[] = [];
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) request.model = reader.text();
    else if (reader.field === 2) request.version = reader.text();
    else if (reader.field === 3) request.id = reader.text();
    else if (reader.field === 4) key = readKey(reader.chunk()) ?? key;
    else if (reader.field === 5) tensors.push(readInput(reader.chunk()));
    else if (reader.field === 6) outputs.push(readModelName(reader.chunk()).name);
    else if (reader.field === 7) raw.push(reader.chunk());
    else reader.skip();
  }
  if (raw.length > 0 && raw.length !== tensors.length) {
    throw wrongTensor('/raw_input_contents', `are ${raw.length} for ${tensors.length} inputs`);
  }
  const inputs = tensors.map((each, index) => ({
    name: each.name,
    tensor: toTensor(each, raw[index], `/inputs/${index}`),
  }));
  const version = request.version === '' ? undefined : request.version;
  return { ...request, version, key, inputs, outputs };
}

/** A map entry of the parameters: `key = 1`, `value = 2`, in which `string_param = 3`. Only `key` is of interest. */
function readKey(bytes: Uint8Array): string | undefined {
  const reader = new WireReader(bytes);
  let name = '';
  let text: string | undefined;
  while (reader.next()) {
    if (reader.field === 1) name = reader.text();
    else if (reader.field === 2) {
      const value = new WireReader(reader.chunk());
      while (value.next()) {
        if (value.field === 3) text = value.text();
        else value.skip();
      }
    } else reader.skip();
  }
  return name === 'key' ? text : undefined;
}

/** InferInputTensor: `name = 1`, `datatype = 2`, `shape = 3`, `parameters = 4`, `contents = 5`. */
function readInput(bytes: Uint8Array): ReadTensor {
  const tensor: ReadTensor = { name: '', datatype: '', shape: [], contents: undefined };
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) tensor.name = reader.text();
    else if (reader.field === 2) tensor.datatype = reader.text();
    else if (reader.field === 3)
      readNumbers(reader, (from) => tensor.shape.push(Number(BigInt.asIntN(64, from.bigVarint()))));
    else if (reader.field === 5) tensor.contents = reader.chunk();
    else reader.skip();
  }
  return tensor;
}

/** A repeated number, packed or not. */
function readNumbers(reader: WireReader, read: (from: WireReader) => void): void {
  if (reader.wireType !== 2) {
    read(reader);
    return;
  }
  const packed = new WireReader(reader.chunk());
  while (packed.position < packed.bytes.length) read(packed);
}

function toTensor(
  { datatype, shape, contents }: ReadTensor,
  raw: Uint8Array | undefined,
  path: string,
): Tensor {
  const type = typeOfDatatype(datatype, `${path}/datatype`);
  const dims = checkShape(shape, `${path}/shape`);
  if (raw) return tensorFromBytes(type, dims, raw, path);
  const data = arrayOf(type, elementCount(dims));
  const values = readContents(contents ?? new Uint8Array(), type, data.length);
  if (values.length !== data.length) {
    throw wrongTensor(`${path}/contents`, `has ${values.length} values; the shape takes ${data.length}`);
  }
  for (let index = 0; index < data.length; index++)
    (data as (typeof values)[number][])[index] = values[index]!;
  return { type, dims, data };
}

/**
 * InferTensorContents: `bool = 1`, `int = 2`, `int64 = 3`, `uint = 4`, `uint64 = 5`, `fp32 = 6`, `fp64 = 7`, `bytes = 8`;
 * only the field of the type is read.
 */
function readContents(bytes: Uint8Array, type: TensorType, most: number): (number | bigint | string)[] {
  const values: (number | bigint | string)[] = [];
  const [field, read] = contentReader(type);
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field !== field) reader.skip();
    else if (field === 8) values.push(textOf(reader.chunk()));
    else readNumbers(reader, (from) => values.push(read(from)));
    if (values.length > most) break;
  }
  return values;
}

type ReadContent = readonly [field: number, read: (from: WireReader) => number | bigint];

function contentReader(type: TensorType): ReadContent {
  switch (type) {
    case 'bool':
      return [1, (from) => from.varint()];
    case 'int64':
      return [3, (from) => BigInt.asIntN(64, from.bigVarint())];
    case 'uint64':
      return [5, (from) => from.bigVarint()];
    case 'float64':
      return [7, (from) => from.double()];
    case 'string':
      return [8, (from) => from.varint()];
    case 'uint8':
    case 'uint16':
    case 'uint32':
      return [4, (from) => from.varint()];
    case 'int8':
    case 'int16':
    case 'int32':
      return [2, (from) => Number(BigInt.asIntN(32, from.bigVarint()))];
    default:
      return [6, (from) => from.float()];
  }
}

/**
 * ModelInferResponse: `model_name = 1`, `model_version = 2`, `id = 3`, `outputs = 5` (`name = 1`, `datatype = 2`,
 * `shape = 3`), `raw_output_contents = 6`.
 */
export function writeInferResponse(model: string, id: string, { version, outputs }: InferResult): Uint8Array {
  const writer = new WireWriter();
  writeText(writer, 1, model);
  writeText(writer, 2, String(version.number));
  if (id !== '') writeText(writer, 3, id);
  for (const { name, tensor } of outputs) {
    const shape = tensor.dims;
    writeChunk(writer, 5, tensorMetadata({ name, datatype: datatypeOf(tensor.type), shape }));
  }
  for (const { tensor } of outputs) writeChunk(writer, 6, tensorToBytes(tensor));
  return writer.finish();
}
