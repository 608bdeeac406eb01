export { memoryBlobStore } from './blob-store.ts';
export { memoryStateStore } from './state-store.ts';
