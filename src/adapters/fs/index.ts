export { fsBlobStore } from './blob-store.ts';
export { fsDisk } from './disk.ts';
export { fsLogArchive } from './log-archive.ts';
export { fsSampleStore } from './sample-store.ts';
