export { createInProcessRuntime, type InProcessOptions } from './runtime.ts';
