export { type OnnxRuntimeOptions, onnxRuntimeEngine } from './engine.ts';
