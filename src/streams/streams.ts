import type { Clock, StateStore, Workers } from '../kernel/index.ts';
import { createDecompress } from './decompress.ts';
import { Registry } from './definitions/registry.ts';
import { createRepository } from './definitions/repository.ts';
import type { LogStore } from './port.ts';
import { createProduce } from './produce/produce.ts';
import { createPublisher } from './publish/publisher.ts';
import { groupsOf } from './read/groups.ts';
import { createReader } from './read/reader.ts';
import type { Decompress } from './record-batch/index.ts';
import { createSchemaCompiler } from './schema/compile.ts';
import type { Streams } from './service.ts';

export interface StreamsParts {
  /** Started before and stopped after the streams. */
  readonly log: LogStore;
  readonly state: StateStore;
  readonly clock: Clock;
  /** Checks large values; without it they are checked where they arrive. */
  readonly workers?: Workers;
  readonly decompress?: Decompress;
}

/** Streams as users know them, over the log and the state store. */
export function createStreams({
  log,
  state,
  clock,
  workers,
  decompress = createDecompress(workers),
}: StreamsParts): Streams {
  const registry = new Registry({
    log,
    repository: createRepository(state),
    compiler: createSchemaCompiler(),
    clock,
  });
  const publisher = createPublisher({ log, registry, clock, workers });
  const reader = createReader({ log, registry, clock, decompress });
  return {
    name: 'streams',
    log,
    decompress,
    start: () => registry.start(),
    define: (definition) => registry.define(definition),
    planDefine: (definition) => registry.plan(definition),
    detach: (name, owner) => registry.detach(name, owner),
    delete: (name) => registry.delete(name),
    describe: (name) => registry.describe(name),
    find: (name) => registry.find(name),
    list: (options) => registry.list(options?.internal ?? false),
    groupsOf: (name) => groupsOf(log, name, registry.open(name).topic.partitions),
    schemaVersions: (name) => registry.schemaVersions(name),
    publish: (name, records, options) => publisher.publish(name, records, options),
    publishLines: (name, body, options) => publisher.publishLines(name, body, options),
    produce: createProduce({ log, registry, workers }),
    encode: (name, records) => publisher.encode(name, records),
    read: (partition, offset, options) => reader.read(partition, offset, options),
    resolvePosition: (partition, from) => reader.resolvePosition(partition, from),
    follow: (name, options) => reader.follow(name, options),
  };
}
