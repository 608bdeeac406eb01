import { defineSection, type SectionValues } from '../kernel/index.ts';

/** What an operator may set about models. */
export const modelsSection = defineSection('models', 'Models', {
  modelMemory: {
    kind: 'bytes',
    default: '256mb',
    min: 1024 * 1024,
    description: 'Memory for loaded models; those used longest ago make room',
  },
  modelFile: {
    kind: 'bytes',
    default: '256mb',
    min: 1024,
    max: 2 * 1024 ** 3,
    description: 'Largest ONNX file that is uploaded',
  },
  modelRequest: {
    kind: 'bytes',
    default: '64mb',
    min: 1024,
    max: 1024 ** 3,
    description: 'Largest request with tensors',
  },
  modelQueue: {
    kind: 'integer',
    default: 20_000,
    min: 1,
    max: 10_000_000,
    description: 'Rows that may wait for one model',
  },
  modelRuntime: {
    kind: 'path',
    default: null,
    description:
      'Folder whose node_modules holds onnxruntime-node; left out: the current folder, then the package',
  },
  modelThreads: {
    kind: 'integer',
    default: 2,
    min: 1,
    max: 64,
    description: 'Threads for models that would hold the main thread',
  },
});

export type ModelsConfig = SectionValues<typeof modelsSection>;
