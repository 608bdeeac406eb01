export { createWorkerThreadsRuntime, type WorkerThreadsOptions } from './runtime.ts';
