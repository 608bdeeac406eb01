import { MillraceError } from '../../kernel/index.ts';
import {
  isTensorSpec,
  type Models,
  type Tensor,
  type TensorSpec,
  type VersionRecord,
} from '../../models/index.ts';
import { asTensor, describeSpec, fitType } from './tensors.ts';

/** What the REST and the gRPC form of the Open Inference Protocol have in common. */
export interface InferenceService {
  readonly server: {
    readonly name: string;
    readonly version: string;
    readonly extensions: readonly string[];
  };
  serverReady(): boolean;
  /** Throws MODEL_NOT_FOUND, VERSION_NOT_FOUND. */
  modelReady(name: string, version: string | undefined): Promise<boolean>;
  metadata(name: string, version: string | undefined): Promise<ModelMetadata>;
  infer(request: InferRequest): Promise<InferResult>;
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

export interface InferRequest {
  readonly model: string;
  readonly version: string | undefined;
  /** Sticky key of split traffic. */
  readonly key: string | undefined;
  readonly inputs: readonly { readonly name: string; readonly tensor: Tensor }[];
  /** All, unless some are named. */
  readonly outputs: readonly string[];
}

export interface InferResult {
  readonly version: VersionRecord;
  readonly outputs: readonly { readonly name: string; readonly tensor: Tensor }[];
}

export interface InferenceServiceOptions {
  readonly models: Models;
  readonly version: string;
  readonly ready: () => boolean;
}

/** Versions that the metadata of a model name, newest first. */
const MOST_VERSIONS = 100;

export function createInferenceService({
  models,
  version,
  ready,
}: InferenceServiceOptions): InferenceService {
  const { registry } = models;
  return {
    server: { name: 'millrace', version, extensions: ['binary_tensor_data'] },
    serverReady: ready,
    async modelReady(name, reference) {
      await registry.version(name, reference);
      return ready();
    },
    async metadata(name, reference) {
      const found = await registry.version(name, reference);
      const versions = await registry.versions(name, { limit: MOST_VERSIONS });
      return {
        name,
        versions: versions.map((each) => String(each.number)),
        platform: 'onnxruntime_onnx',
        inputs: found.inputs.map(describeSpec),
        outputs: found.outputs.map(describeSpec),
      };
    },
    async infer({ model, version, key, inputs, outputs }) {
      const { version: served, outputs: values } = await models.infer(
        model,
        (record) =>
          Object.fromEntries(inputs.map(({ name, tensor }) => [name, fitted(record, name, tensor)])),
        { ...(version === undefined ? {} : { version }), ...(key === undefined ? {} : { key }) },
      );
      const names = outputs.length === 0 ? Object.keys(values) : outputs;
      return {
        version: served,
        outputs: names.map((name) => {
          const value = values[name];
          if (value) return { name, tensor: asTensor(value) };
          const message = `has no output '${name}'; it has ${Object.keys(values).join(', ')}`;
          throw new MillraceError('INVALID_INPUT', `The model ${message}.`, {
            errors: [{ path: '/outputs', message }],
          });
        }),
      };
    },
  };
}

function fitted({ inputs }: VersionRecord, name: string, tensor: Tensor): Tensor {
  const spec = inputs.find((each): each is TensorSpec => each.name === name && isTensorSpec(each));
  return spec ? fitType(tensor, spec.type) : tensor;
}
