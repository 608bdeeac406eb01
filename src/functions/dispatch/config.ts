import { defineSection, type SectionValues } from '../../kernel/index.ts';

/** What an operator may set about instances and queues. */
export const functionsSection = defineSection('functions', 'Functions', {
  functionQueue: {
    kind: 'integer',
    default: 2000,
    min: 1,
    max: 1_000_000,
    description: 'Invocations that may wait for one function',
  },
  functionQueueTotal: {
    kind: 'integer',
    default: 20_000,
    min: 1,
    max: 10_000_000,
    description: 'Invocations that may wait for all functions together',
  },
  functionQueueBytes: {
    kind: 'bytes',
    default: '256mb',
    min: 1024,
    description: 'Bytes of input that may wait for all functions together',
  },
  functionQueueWait: {
    kind: 'duration',
    default: '10s',
    min: 1,
    description: 'How long an invocation may wait for an instance',
  },
  functionInstances: {
    kind: 'integer',
    default: 200,
    min: 1,
    max: 10_000,
    description: 'Instances of all functions together',
  },
  functionIdle: {
    kind: 'duration',
    default: '60s',
    min: 10,
    description: 'How long instances outlive the load that needed them',
  },
  functionStart: {
    kind: 'duration',
    default: '10s',
    min: 10,
    description: 'How long an instance may take to load its code',
  },
  functionSpares: {
    kind: 'integer',
    default: 2,
    min: 0,
    max: 64,
    description: 'Workers kept started before any function needs them',
  },
});

export type FunctionsConfig = SectionValues<typeof functionsSection>;
