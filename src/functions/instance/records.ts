import type { FromInstance, WireError, WireRecords } from '../protocol.ts';
import { createContext, type Effects, notJson, type Surroundings, wireHeaders } from './context.ts';
import { describeThrown, InstanceError } from './errors.ts';
import { Arena, Held } from './held.ts';
import { PlatformError } from './platform-error.ts';
import { type DecodedRecords, decodeRecords, type HandlerRecord } from './record-decoding.ts';
import type { Running } from './running.ts';
import { createStateCell, createStateTable, type StateTable } from './states.ts';
import { emitsTable, writesTable } from './tables.ts';

export type Handler = (event: unknown, context: unknown) => unknown;

/** The part of its time after which no further record is begun: what is begun should have most of the time for itself. */
const BEGIN_WITHIN = 0.25;

/** Runs the handler over the records of one event and says what is to be committed. */
export async function runRecords(
  around: Surroundings,
  running: Running,
  handler: Handler,
  event: WireRecords,
  elapsedMs: () => number,
): Promise<FromInstance> {
  const run = new RecordsRun(around, running, handler, event, elapsedMs);
  await (event[5] ? run.asBatch() : run.oneByOne());
  return run.result();
}

class RecordsRun {
  readonly #around: Surroundings;
  readonly #running: Running;
  readonly #handler: Handler;
  readonly #elapsedMs: () => number;
  readonly #decoded: DecodedRecords;
  readonly #arena = new Arena();
  readonly #tables = new Map<string, StateTable | Promise<StateTable>>();
  readonly #succeeded: Held[] = [];
  readonly #failed: (readonly [offset: number, error: WireError])[] = [];
  readonly #skipped: number[] = [];
  #lastIndex = 0;

  constructor(
    around: Surroundings,
    running: Running,
    handler: Handler,
    event: WireRecords,
    elapsedMs: () => number,
  ) {
    const [, stream, partition, batches, , , states, values] = event;
    this.#around = around;
    this.#running = running;
    this.#handler = handler;
    this.#elapsedMs = elapsedMs;
    this.#decoded = decodeRecords(stream, partition, batches);
    states.forEach((name, index) => {
      this.#tables.set(name, createStateTable(values[index]!, this.#decoded.records.length));
    });
  }

  /** One call for all. If it throws, nothing of it is kept; what it names as failed comes again. */
  async asBatch(): Promise<void> {
    const held = new Held(this.#arena, { undoable: false });
    const { records } = this.#decoded;
    const context = createContext(this.#around, this.#running, this.#effects(held, undefined));
    try {
      const result = await this.#handler(records, context);
      for (const index of failedIndexes(result, records.length)) {
        this.#failed.push([records[index]!.offset, FAILED_BY_HANDLER]);
      }
      this.#succeeded.push(held);
    } finally {
      held.close();
    }
  }

  /** One call a record: keys side by side, the records of a key in turn. */
  async oneByOne(): Promise<void> {
    const chains = this.#chains();
    const next = chains.values();
    const worker = async (): Promise<void> => {
      for (const chain of next) await this.#runChain(chain);
    };
    const workers = Math.min(this.#around.spec.perInstance, chains.length);
    await Promise.all(Array.from({ length: workers }, worker));
  }

  result(): FromInstance {
    const { id } = this.#running;
    const [only, ...others] = this.#succeeded;
    const all = only && others.length === 0 ? only : joined(this.#succeeded);
    const emits = emitsTable(all.emits);
    const writes = writesTable(all.writes);
    this.#failed.sort((a, b) => a[0] - b[0]);
    this.#skipped.sort((a, b) => a - b);
    return ['records', id, this.#failed, this.#skipped, emits, writes, this.#arena.take()];
  }

  #chains(): number[][] {
    const chains: number[][] = [];
    const ofSlot = new Map<number, number[]>();
    this.#decoded.slots().forEach((slot, index) => {
      const chain = slot < 0 ? undefined : ofSlot.get(slot);
      if (chain) {
        chain.push(index);
        return;
      }
      const begun = [index];
      chains.push(begun);
      if (slot >= 0) ofSlot.set(slot, begun);
    });
    return chains;
  }

  async #runChain(chain: readonly number[]): Promise<void> {
    for (let place = 0; place < chain.length; place++) {
      const record = this.#decoded.records[chain[place]!]!;
      const late = this.#running.cancelled || this.#elapsedMs() > this.#around.spec.timeoutMs * BEGIN_WITHIN;
      if (!late && (await this.#runRecord(record))) continue;
      const rest = chain.slice(late ? place : place + 1);
      this.#skipped.push(...rest.map((index) => this.#decoded.records[index]!.offset));
      return;
    }
  }

  async #runRecord(record: HandlerRecord): Promise<boolean> {
    const held = new Held(this.#arena, { undoable: true });
    const key = `${this.#running.idempotencyKey}/${record.offset}`;
    const context = createContext(this.#around, this.#running, this.#effects(held, record.offset), key);
    try {
      await this.#handler(record, context);
      held.close();
      this.#succeeded.push(held);
      return true;
    } catch (error) {
      held.takeBack();
      this.#failed.push([record.offset, describeThrown(error)]);
      return false;
    }
  }

  #effects(held: Held, causeOffset: number | undefined): Effects {
    return {
      async emit(stream, value, options) {
        const text = JSON.stringify(value) as string | undefined;
        if (text === undefined) throw notJson(stream);
        held.emit(stream, text, options?.key, wireHeaders(options?.headers), causeOffset);
      },
      state: (name, record) => {
        const index = this.#indexOf(record);
        const slot = this.#decoded.slots()[index]!;
        if (slot < 0) throw keyless(this.#decoded.records[index]!);
        return createStateCell(
          name,
          () => this.#table(name),
          held,
          slot,
          this.#decoded.records[index]!.offset,
        );
      },
    };
  }

  /** State that the platform did not send along is fetched once for all records of the event. */
  #table(name: string): StateTable | Promise<StateTable> {
    const known = this.#tables.get(name);
    if (known) return known;
    const asked = this.#around.link.call(this.#running, ['state', name]).then((packed) => {
      const table = createStateTable(packed as Uint8Array, this.#decoded.records.length);
      this.#tables.set(name, table);
      return table;
    });
    this.#tables.set(name, asked);
    return asked;
  }

  #indexOf(record: unknown): number {
    const { records } = this.#decoded;
    const offset = (record as HandlerRecord | undefined)?.offset;
    // Handlers mostly ask in order, and once or twice for each.
    for (let index = this.#lastIndex; index < Math.min(this.#lastIndex + 2, records.length); index++)
      if (records[index]!.offset === offset) return (this.#lastIndex = index);
    let low = 0;
    let high = records.length - 1;
    while (typeof offset === 'number' && low <= high) {
      const middle = (low + high) >>> 1;
      const found = records[middle]!.offset;
      if (found === offset) return (this.#lastIndex = middle);
      if (found < offset) low = middle + 1;
      else high = middle - 1;
    }
    throw new TypeError('ctx.state takes one of the records of this invocation as its second argument.');
  }
}

function joined(succeeded: readonly Held[]): Pick<Held, 'emits' | 'writes'> {
  return {
    emits: succeeded.flatMap((held) => held.emits),
    writes: succeeded.flatMap((held) => held.writes),
  };
}

const FAILED_BY_HANDLER: WireError = [
  'FUNCTION_FAILED',
  'FailedByHandler',
  'The handler returned this record in `failed`.',
  undefined,
];

function keyless(record: HandlerRecord): PlatformError {
  return new PlatformError(
    'BAD_REQUEST',
    `The record at offset ${record.offset} of '${record.stream}' has no key, so that it has no keyed state. Give the stream a \`key\`.`,
  );
}

function failedIndexes(result: unknown, records: number): readonly number[] {
  const failed = (result as { failed?: unknown } | null | undefined)?.failed;
  if (failed === undefined) return [];
  const valid = (index: unknown): boolean =>
    Number.isInteger(index) && (index as number) >= 0 && (index as number) < records;
  if (Array.isArray(failed) && failed.every(valid)) return [...new Set(failed as number[])];
  throw new InstanceError(
    'RESULT_INVALID',
    `\`failed\` must be an array of indexes into the batch, 0 to ${records - 1}.`,
  );
}
