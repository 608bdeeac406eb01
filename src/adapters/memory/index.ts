export { memoryBlobStore } from './blob-store.ts';
export { type DiskOperation, memoryDisk, type SimulatedDisk, simulatedDisk } from './disk.ts';
export { type MemoryLogStore, memoryLogStore } from './log-store.ts';
export { memoryLogArchive, memorySampleStore } from './sample-store.ts';
export { memoryStateStore } from './state-store.ts';
