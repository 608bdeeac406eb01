import { defineSection, type SectionValues } from '../../kernel/index.ts';

export const invocationsSection = defineSection('invocations', 'Invocations by name', {
  invocationRetention: {
    kind: 'duration',
    default: '24h',
    min: 1000,
    description: 'How long results of asynchronous invocations are kept',
  },
  invocationBacklog: {
    kind: 'integer',
    default: 100_000,
    min: 1,
    description: 'Asynchronous invocations that may wait',
  },
  invocationWorkers: {
    kind: 'integer',
    default: 64,
    min: 1,
    max: 10_000,
    description: 'Asynchronous invocations that run at the same time',
  },
});

export type InvocationsConfig = SectionValues<typeof invocationsSection>;
