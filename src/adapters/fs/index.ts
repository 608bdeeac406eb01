export { fsBlobStore } from './blob-store.ts';
export { fsDisk } from './disk.ts';
