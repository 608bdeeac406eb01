import type { FunctionManifest, Json } from '../../kernel/index.ts';
import { type DecodedRecord, decodeBatches } from '../../streams/index.ts';
import type {
  Dispatcher,
  Emit,
  FunctionError,
  InvocationContext,
  InvocationOutcome,
  RecordsEvent,
  RecordsResult,
  StateChange,
} from '../invocation.ts';

export interface TestRecord {
  readonly key: string | null;
  readonly value: Json;
  readonly offset: number;
  readonly stream: string;
  readonly partition: number;
  readonly attempt: number;
  readonly headers: { readonly [name: string]: string };
}

export interface TestHandle {
  emit(stream: string, value: Json, key?: string): void;
  get(state: string): Promise<Json | undefined>;
  set(state: string, value: Json): Promise<void>;
  delete(state: string): Promise<void>;
}

export type TestHandler = (record: TestRecord, handle: TestHandle) => Promise<void> | void;

/** How an event goes wrong as a whole. */
export type Mishap = 'none' | 'crash before' | 'crash after' | 'refuse';

/** Runs handlers in this thread, by the rules that instances follow, and goes wrong when a test says so. */
export interface TestDispatcher extends Dispatcher {
  handler: TestHandler;
  mishap: (event: RecordsEvent) => Mishap;
  /** Asked after a batch: what it returns as failed. */
  failed: (records: readonly TestRecord[]) => number[];
  /** Every event as it arrived: the number of its records. */
  readonly events: number[];
  readonly versions: (string | undefined)[];
  /** Times a record was handled while another of its key was. */
  overlaps: number;
  /** Reads that were not answered by what came along. */
  roundTrips: number;
}

export function fail(name: string, message = name): never {
  const error = new Error(message);
  error.name = name;
  throw error;
}

const toError = (error: unknown): FunctionError => ({
  code: 'FUNCTION_FAILED',
  name: (error as Error).name,
  message: (error as Error).message,
});

const crashed: InvocationOutcome = {
  status: 'error',
  error: { code: 'FUNCTION_CRASHED', name: 'InstanceCrashed', message: 'The instance ended.' },
  durationMs: 1,
  cold: false,
};

function unpack(values: Uint8Array, keys: readonly (string | null)[]): Map<string, Uint8Array | null> {
  const found = new Map<string, Uint8Array | null>();
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  let at = 0;
  for (const key of keys) {
    const length = view.getInt32(at, true);
    at += 4;
    if (length === -2) continue;
    if (key !== null) found.set(key, length < 0 ? null : values.slice(at, at + length));
    at += Math.max(0, length);
  }
  return found;
}

export function createTestDispatcher(): TestDispatcher {
  const active = new Set<string>();

  const run = async (event: RecordsEvent, context: InvocationContext): Promise<RecordsResult> => {
    const decoded = decodeBatches(event.batches);
    const keys = decoded.map(({ key }) => (key ? Buffer.from(key).toString('latin1') : null));
    const local = new Map([...event.state].map(([name, values]) => [name, unpack(values, keys)]));
    const emits: Emit[] = [];
    const state: StateChange[] = [];
    const failed: { offset: number; error: FunctionError }[] = [];
    const skipped: number[] = [];
    const broken = new Set<string>();

    const valuesOf = async (name: string) => {
      let values = local.get(name);
      if (!values) {
        dispatcher.roundTrips++;
        local.set(name, (values = unpack(await event.readState(name), keys)));
      }
      return values;
    };
    const handleOf = ({ offset }: DecodedRecord, key: string | null): TestHandle => ({
      emit(stream, value, to) {
        emits.push({
          stream,
          value: Buffer.from(JSON.stringify(value)),
          key: to,
          headers: [],
          causeOffset: event.asBatch ? undefined : offset,
        });
      },
      async get(name) {
        const value = (await valuesOf(name)).get(key!);
        return value ? (JSON.parse(Buffer.from(value).toString()) as Json) : undefined;
      },
      async set(name, value) {
        const bytes = Buffer.from(JSON.stringify(value));
        (await valuesOf(name)).set(key!, bytes);
        state.push({ state: name, offset, value: bytes });
      },
      async delete(name) {
        (await valuesOf(name)).set(key!, null);
        state.push({ state: name, offset, value: null });
      },
    });
    const handleOne = async (record: DecodedRecord, at: number): Promise<void> => {
      const key = keys[at]!;
      const active_ = `${event.partition}/${key}`;
      if (key !== null && active.has(active_)) dispatcher.overlaps++;
      active.add(active_);
      try {
        await dispatcher.handler(testRecord(event, context, record, key), handleOf(record, key));
      } finally {
        active.delete(active_);
      }
    };

    for (const [at, record] of decoded.entries()) {
      const key = keys[at]!;
      if (event.asBatch) await handleOne(record, at);
      else if (key !== null && broken.has(key)) skipped.push(record.offset);
      else
        await handleOne(record, at).catch((error: unknown) => {
          failed.push({ offset: record.offset, error: toError(error) });
          if (key !== null) broken.add(key);
        });
    }
    const records = decoded.map((record, at) => testRecord(event, context, record, keys[at]!));
    for (const index of event.asBatch ? dispatcher.failed(records) : [])
      failed.push({ offset: decoded[index]!.offset, error: toError(new Error('returned as failed')) });
    return { failed, skipped, emits, state };
  };

  const dispatcher: TestDispatcher = {
    handler: () => {},
    mishap: () => 'none',
    failed: () => [],
    events: [],
    versions: [],
    overlaps: 0,
    roundTrips: 0,
    async dispatch(_fn, event, context, version): Promise<InvocationOutcome> {
      if (event.kind !== 'records') throw new Error('Only records events are expected here.');
      const mishap = dispatcher.mishap(event);
      if (mishap === 'refuse') throw new Error('The queue is full.');
      dispatcher.events.push(event.records);
      dispatcher.versions.push(version);
      await Promise.resolve();
      if (mishap === 'crash before') return crashed;
      try {
        const result = await run(event, context);
        if (mishap === 'crash after') return crashed;
        return { status: 'ok', value: { kind: 'records', result }, durationMs: 1, cold: false };
      } catch (error) {
        return { status: 'error', error: toError(error), durationMs: 1, cold: false };
      }
    },
  };
  return dispatcher;
}

function testRecord(
  event: RecordsEvent,
  context: InvocationContext,
  record: DecodedRecord,
  key: string | null,
): TestRecord {
  return {
    key: key === null ? null : Buffer.from(key, 'latin1').toString(),
    value: JSON.parse(Buffer.from(record.value!).toString()) as Json,
    offset: record.offset,
    stream: event.stream,
    partition: event.partition,
    attempt: context.attempt,
    headers: Object.fromEntries(
      record.headers.map(({ key: name, value }) => [name, Buffer.from(value ?? []).toString()]),
    ),
  };
}

/** A stream function as `build` would describe it. */
export function streamFunction(
  name: string,
  streams: readonly string[],
  options: Partial<FunctionManifest> = {},
): FunctionManifest {
  return {
    name,
    version: 'v1',
    entry: 'app.js',
    exportName: name,
    runtime: 'worker',
    triggers: streams.map((stream) => ({ kind: 'stream', stream })),
    from: 'start',
    batch: null,
    instances: { min: 0, max: 10 },
    perInstance: 80,
    timeoutMs: 10_000,
    memoryBytes: 128 * 1024 * 1024,
    cpu: 1,
    tmpBytes: 0,
    retry: { attempts: 3, backoffMs: 100 },
    env: {},
    secrets: [],
    ...options,
  };
}
