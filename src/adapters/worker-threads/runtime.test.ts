import { runtimeContract } from '../../functions/port.contract.ts';
import { createWorkerThreadsRuntime } from './runtime.ts';

const options = {
  harness: new URL('../../functions/instance/main.ts', import.meta.url),
  sdk: new URL('../../sdk/index.ts', import.meta.url),
};

runtimeContract('worker threads, from spares', () =>
  createWorkerThreadsRuntime({ ...options, spareMemoryBytes: 64 * 1024 ** 2 }),
);
runtimeContract('worker threads, without spares', () =>
  createWorkerThreadsRuntime({ ...options, spares: 0 }),
);
