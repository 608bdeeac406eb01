export { fsDisk } from './disk.ts';
