export { fsBlobStore } from './blob-store.ts';
