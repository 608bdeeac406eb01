import { logArchiveContract, sampleStoreContract } from '../../observe/port.contract.ts';
import { memoryLogArchive, memorySampleStore } from './sample-store.ts';

const done = { [Symbol.asyncDispose]: async () => undefined };

sampleStoreContract('memory', async () => ({ store: memorySampleStore({ mostRows: 400 }), ...done }));
logArchiveContract('memory', async () => ({ store: memoryLogArchive({ mostLines: 2000 }), ...done }));
