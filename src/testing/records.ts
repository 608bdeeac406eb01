import type { Platform } from '../main.ts';
import type { StreamRecord } from '../sdk/index.ts';

/** All records of a stream, by partition and offset, as a handler would get them. Throws STREAM_NOT_FOUND. */
export async function allRecords(streams: Platform['streams'], name: string): Promise<StreamRecord[]> {
  const records: StreamRecord[] = [];
  const { bounds } = streams.describe(name);
  for (let partition = 0; partition < bounds.length; partition++) {
    for (let offset = 0; ; ) {
      const page = await streams.read({ topic: name, partition }, offset);
      for (const record of page.records) records.push(recordOf(name, record));
      if (page.nextOffset === offset || page.nextOffset >= page.lastStableOffset) break;
      offset = page.nextOffset;
    }
  }
  return records;
}

type StoredRecord = Awaited<ReturnType<Platform['streams']['read']>>['records'][number];

function recordOf(
  stream: string,
  { partition, offset, timeMs, key, value, headers }: StoredRecord,
): StreamRecord {
  return {
    kind: 'record',
    stream,
    partition,
    offset,
    key: key === null ? undefined : Buffer.from(key).toString(),
    value: value === null ? undefined : JSON.parse(Buffer.from(value).toString()),
    time: timeMs,
    headers: Object.fromEntries(
      headers.map((header) => [
        header.key,
        header.value === null ? undefined : Buffer.from(header.value).toString(),
      ]),
    ),
  };
}
