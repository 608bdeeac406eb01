import { MillraceError } from '../../kernel/index.ts';
import type { PublishRecord, ReadRecord, StreamDescription, Streams } from '../../streams/index.ts';

/** Stands in until the streams room is there. */
export function fakeStreams(): Streams {
  const all = new Map<string, { definition: StreamDescription; logs: ReadRecord[][] }>();
  const watchers = new Set<() => void>();
  const of = (name: string) => {
    const found = all.get(name);
    if (!found) throw new MillraceError('STREAM_NOT_FOUND', `There is no stream ${name}.`);
    return found;
  };
  const boundsOf = (logs: ReadRecord[][]) =>
    logs.map((log) => ({ logStartOffset: 0, lastStableOffset: log.length, highWatermark: log.length }));
  const describe = (name: string) => ({ ...of(name).definition, bounds: boundsOf(of(name).logs) });
  const toBytes = (value: PublishRecord['value']) =>
    value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value.json));
  const seen = new Map<number, unknown>();
  const publish: Streams['publish'] = async (name, records, options) => {
    const { logs } = of(name);
    const producer = options?.producer?.producerId;
    if (producer !== undefined && seen.has(producer)) return seen.get(producer) as never;
    const places = records.map((record) => {
      const key = record.key === undefined ? null : Buffer.from(record.key);
      const partition = record.partition ?? (key === null ? 0 : key.reduce((a, b) => a + b, 0) % logs.length);
      const offset = logs[partition]!.length;
      logs[partition]!.push({
        topic: name,
        partition,
        offset,
        timeMs: Date.now(),
        key,
        value: toBytes(record.value),
        headers: record.headers ?? [],
      });
      return { topic: name, partition, offset };
    });
    for (const watcher of watchers) watcher();
    const result = { records: records.length, diverted: [], placeOf: (index: number) => places[index]! };
    if (producer !== undefined) seen.set(producer, result);
    return result;
  };
  let producers = 0;
  return {
    name: 'streams',
    log: {
      producers: { init: async () => ({ producerId: producers++, epoch: 0 }) },
    } as never,
    async define(definition) {
      const partitions = definition.partitions ?? 1;
      all.set(definition.name, {
        logs: Array.from({ length: partitions }, () => []),
        definition: {
          compatibility: 'backward',
          onInvalid: 'refuse',
          retentionMs: null,
          retentionBytes: null,
          cleanup: 'delete',
          maxRecordBytes: 1e6,
          schemaVersion: 1,
          internal: false,
          detached: false,
          createdMs: Date.now(),
          bounds: [],
          ...definition,
          partitions,
        },
      });
      return describe(definition.name);
    },
    planDefine: async () => [],
    detach: async () => undefined,
    delete: async (name) => {
      of(name);
      all.delete(name);
    },
    describe,
    find: (name) => (all.has(name) ? describe(name) : undefined),
    list: () => [...all.keys()].map(describe),
    groupsOf: () => [],
    schemaVersions: async () => [],
    publish,
    publishLines: (name, body, options) => {
      const lines = Buffer.from(body)
        .toString()
        .split('\n')
        .filter((line) => line !== '');
      return publish(
        name,
        lines.map((line) => ({ value: Buffer.from(line), ...(options?.key ? { key: options.key } : {}) })),
        options,
      );
    },
    encode: async () => [],
    read: async ({ topic, partition }, offset, options) => {
      const log = of(topic).logs[partition]!;
      const records = log.slice(offset, offset + (options?.limit ?? 100));
      return {
        records,
        nextOffset: offset + records.length,
        logStartOffset: 0,
        lastStableOffset: log.length,
        highWatermark: log.length,
      };
    },
    resolvePosition: async ({ topic, partition }, from) =>
      from === 'start' ? 0 : from === 'end' ? of(topic).logs[partition]!.length : Number(from),
    async *follow(name, options) {
      const positions = new Map(options.positions);
      while (!options.signal.aborted) {
        const changed = Promise.withResolvers<void>();
        watchers.add(changed.resolve);
        options.signal.addEventListener('abort', () => changed.resolve());
        for (const [partition, offset] of positions) {
          for (const record of of(name).logs[partition]!.slice(offset)) {
            if (options.signal.aborted) return;
            positions.set(partition, record.offset + 1);
            yield record;
          }
        }
        await changed.promise;
        watchers.delete(changed.resolve);
      }
    },
  };
}
