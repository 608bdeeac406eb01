export { type DiskOperation, memoryDisk, type SimulatedDisk, simulatedDisk } from './disk.ts';
