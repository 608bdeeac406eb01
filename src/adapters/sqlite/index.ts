export { sqliteStateStore } from './state-store.ts';
